#include "common/kafka/chunks.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <utility>

#include "common/base/time.h"
#include "common/kafka/handle.h"

namespace hearth::kafka {
namespace {

constexpr int kConnectTimeoutMs = 1000;  // of the first question, which connects
constexpr int kQuestionTimeoutMs = 250;  // of a question about a log
constexpr int kFirstPatienceMs = 20;     // then the library is woken
constexpr int kLongestPatienceMs = 200;  // it doubles up to here
constexpr std::int64_t kLogStart = -2;   // instead of a time, as the protocol has it
constexpr std::int64_t kLogEnd = -1;
constexpr std::size_t kMaxTopics = 1000;  // known to the reader at once

// Each chunk is one assignment of one partition at its position, which is taken back afterwards.
//
// Version 2.0.2 of the library asks for more as soon as an answer is in, but for a partition of which more is queued
// than `queued.max.messages.kbytes`: with 1 it reads nothing ahead. What is queued of other partitions counts too, and
// a partition that is held back by it is looked at again only after a second. So the queue is emptied between chunks,
// and `queued.min.messages`, which counts the library's own marks in the queue as well, keeps its high default.
std::vector<Setting> SettingsFor(const std::string& client_id) {
  return {{"group.id", client_id + "-chunks"},  // required by the library; no group is joined
          {"enable.auto.commit", "false"},       {"enable.auto.offset.store", "false"},
          {"enable.partition.eof", "true"},      {"auto.offset.reset", "error"},
          {"isolation.level", "read_committed"}, {"fetch.message.max.bytes", std::to_string(kChunkBytes)},
          {"fetch.wait.max.ms", "10"},           {"fetch.error.backoff.ms", "20"},
          {"queued.max.messages.kbytes", "1"}};
}

std::int64_t BytesOf(const Record& record) {
  std::size_t bytes = record.key.size() + record.value.size();
  for (const Header& header : record.headers) bytes += header.name.size() + header.value.size();
  return static_cast<std::int64_t>(bytes);
}

bool IsOutOfRange(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || error == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
}

bool IsMissing(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
         error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

}  // namespace

// The library's side. Its calls block; one thread, but for the constructor.
class ChunkReader::Fetcher {
 public:
  Fetcher(Client client, const std::atomic<bool>& ending) : client_(std::move(client)), ending_(ending) {}
  ~Fetcher() {
    topics_.clear();
    Discard(std::move(client_));
  }
  Fetcher(const Fetcher&) = delete;
  Fetcher& operator=(const Fetcher&) = delete;

  void Connect() {
    const rd_kafka_metadata_t* raw = nullptr;
    rd_kafka_metadata(client_.get(), 1, nullptr, &raw, kConnectTimeoutMs);
    const Metadata metadata(raw);
  }

  Result<Chunk> Read(const PartitionId& partition, std::int64_t offset) {
    deadline_us_ = ReadClocks().mono_us + kChunkTimeoutMs * kMicrosPerMilli;
    trouble_.clear();
    KeepTopic(partition.topic);
    DropLate(partition);
    Result<Chunk> chunk = ReadFrom(partition, offset);
    if (OutOfRange(chunk)) chunk = ReadAgain(partition, offset, chunk.error());
    if (last_ && *last_ != partition) DropLate(*last_);
    last_.reset();
    if (chunk) last_ = partition;
    return chunk;
  }

 private:
  static bool OutOfRange(const Result<Chunk>& chunk) { return !chunk && chunk.error().code == Code::kInvalid; }

  // Where the log does not have the offset.
  Result<Chunk> ReadAgain(const PartitionId& partition, std::int64_t offset, const Error& out_of_range) {
    const auto start = AskLog(partition, kLogStart);
    if (!start) return std::unexpected(start.error());
    if (offset < *start) {
      Result<Chunk> chunk = ReadFrom(partition, *start);
      return OutOfRange(chunk) ? Nobody(partition) : chunk;  // the start has moved on since
    }
    const auto end = AskLog(partition, kLogEnd);
    if (!end) return std::unexpected(end.error());
    if (offset > *end) return std::unexpected(out_of_range);
    return Nobody(partition);
  }

  // kInvalid: the log does not have the offset.
  Result<Chunk> ReadFrom(const PartitionId& partition, std::int64_t offset) {
    const auto list = ListOf({partition});
    list->elems[0].offset = offset;
    if (auto* failed = rd_kafka_incremental_assign(client_.get(), list.get()); failed != nullptr) {
      return Fails(partition, failed);
    }
    Result<Chunk> chunk = Gather(partition, offset);
    auto* failed = rd_kafka_incremental_unassign(client_.get(), list.get());
    Settle();
    if (failed != nullptr) return Fails(partition, failed);
    return chunk;
  }

  Result<Chunk> Gather(const PartitionId& partition, std::int64_t offset) {
    Chunk chunk;
    chunk.next = offset;
    int patience_ms = kFirstPatienceMs;
    for (std::int64_t bytes = 0; bytes < kChunkBytes;) {
      const bool fresh = chunk.records.empty();
      if (fresh && (ending_ || ReadClocks().mono_us >= deadline_us_)) return Nobody(partition);
      const Message message(rd_kafka_consumer_poll(client_.get(), fresh ? patience_ms : 0));
      if (!message) {
        if (!fresh) return chunk;  // what one answer of the broker brought is used up
        // A thread of the library that has missed something sleeps for a second: a question wakes it.
        const auto woken = AskLog(partition, kLogStart);
        if (!woken && woken.error().code != Code::kUnavailable) return std::unexpected(woken.error());
        patience_ms = std::min(2 * patience_ms, kLongestPatienceMs);
        continue;
      }
      if (message->rkt == nullptr) {
        trouble_ = rd_kafka_message_errstr(message.get());
        continue;
      }
      if (message->partition != partition.partition || rd_kafka_topic_name(message->rkt) != partition.topic) continue;
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (message->offset < chunk.next) continue;
        chunk.next = message->offset + 1;
        chunk.records.push_back(std::make_shared<const Record>(ToRecord(*message)));
        bytes += BytesOf(*chunk.records.back());
        continue;
      }
      if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        chunk.next = std::max(chunk.next, message->offset);
        return chunk;
      }
      if (!fresh) return chunk;  // the next one meets the error
      const std::string why = Name(partition) + ": " + rd_kafka_message_errstr(message.get());
      if (IsOutOfRange(message->err)) return Fail(Code::kInvalid, why);
      if (IsMissing(message->err)) return Fail(Code::kNotFound, why);
      trouble_ = rd_kafka_message_errstr(message.get());  // the library tries again
    }
    return chunk;
  }

  // After an unassignment: once the library's main thread has answered, what it was told before is done, and nothing
  // more comes into the queue.
  void Settle() {
    rd_kafka_topic_partition_list_t* raw = nullptr;
    rd_kafka_assignment(client_.get(), &raw);
    const PartitionList assigned(raw);
    while (const Message stale{rd_kafka_consumer_poll(client_.get(), 0)}) {}
  }

  // What came for a partition after it was unassigned lies in a queue of its own. There it would hold back the next
  // chunk of the partition, and take memory until then.
  void DropLate(const PartitionId& partition) {
    const Queue queue(rd_kafka_queue_get_partition(client_.get(), partition.topic.c_str(), partition.partition));
    while (queue) {
      const Message late(rd_kafka_consume_queue(queue.get(), 0));
      if (!late) return;
    }
  }

  Result<std::int64_t> AskLog(const PartitionId& partition, std::int64_t which) {
    const auto list = ListOf({partition});
    list->elems[0].offset = which;
    auto error = rd_kafka_offsets_for_times(client_.get(), list.get(), kQuestionTimeoutMs);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) error = list->elems[0].err;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return list->elems[0].offset;
    if (IsMissing(error)) return Fail(Code::kNotFound, Name(partition) + ": " + rd_kafka_err2str(error));
    trouble_ = rd_kafka_err2str(error);
    return Nobody(partition);
  }

  // While there is a handle the library keeps what it knows of the topic's leaders.
  void KeepTopic(const std::string& name) {
    if (topics_.contains(name)) return;
    if (topics_.size() >= kMaxTopics) topics_.clear();
    topics_.emplace(name, rd_kafka_topic_new(client_.get(), name.c_str(), nullptr));
  }

  [[nodiscard]] std::unexpected<Error> Nobody(const PartitionId& partition) const {
    return Fail(Code::kUnavailable, Name(partition) + ": no records within " + std::to_string(kChunkTimeoutMs) + " ms" +
                                        (trouble_.empty() ? "" : ": " + trouble_));
  }
  static std::unexpected<Error> Fails(const PartitionId& partition, rd_kafka_error_t* error) {
    auto failed = Fail(Code::kUnavailable, Name(partition) + ": " + rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return failed;
  }

  Client client_;
  const std::atomic<bool>& ending_;
  std::map<std::string, Topic> topics_;  // destroyed before the client
  std::optional<PartitionId> last_;      // of which there was a chunk
  std::int64_t deadline_us_ = 0;         // of the chunk, monotonic
  std::string trouble_;                  // met with it last
};

Result<std::unique_ptr<ChunkReader>> ChunkReader::Create(Loop& loop, const std::string& bootstrap,
                                                         const std::string& client_id) {
  auto conf = MakeConf(bootstrap, client_id, SettingsFor(client_id));
  if (!conf) return std::unexpected(conf.error());
  auto client = MakeClient(RD_KAFKA_CONSUMER, std::move(*conf));
  if (!client) return std::unexpected(client.error());
  rd_kafka_poll_set_consumer(client->get());
  return std::unique_ptr<ChunkReader>(new ChunkReader(loop, std::move(*client)));
}

ChunkReader::ChunkReader(Loop& loop, Client client)
    : loop_(loop), fetcher_(std::make_unique<Fetcher>(std::move(client), ending_)), thread_([this] { Work(); }) {}

ChunkReader::~ChunkReader() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void ChunkReader::Read(const PartitionId& partition, std::int64_t offset, std::int64_t most, Told told) {
  if (reading_ || offset < 0 || most < 1) {
    std::fprintf(stderr, "chunk of %s from %lld: %s\n", Name(partition).c_str(), static_cast<long long>(offset),
                 reading_ ? "another one is being read" : "no such offset, or nothing of it");
    std::abort();
  }
  reading_ = true;
  {
    const std::lock_guard lock(mutex_);
    request_ = Request{partition, offset, most, std::move(told)};
  }
  wake_.notify_one();
}

Result<Chunk> ChunkReader::ReadNow(const Request& request) {
  const bool is_there = rest_ && rest_->partition == request.partition && rest_->offset <= request.offset &&
                        request.offset < rest_->chunk.next && ReadClocks().mono_us < rest_->until_us;
  if (!is_there) {
    rest_.reset();
    auto whole = fetcher_->Read(request.partition, request.offset);
    if (!whole || std::ssize(whole->records) <= request.most) return whole;
    rest_ = Rest{request.partition, request.offset, std::move(*whole),
                 ReadClocks().mono_us + kChunkRestMs * kMicrosPerMilli};
  }
  const auto& records = rest_->chunk.records;
  const auto begin = std::ranges::lower_bound(records, request.offset, {}, [](const auto& one) { return one->offset; });
  const bool is_last = records.end() - begin <= request.most;
  const auto end = is_last ? records.end() : begin + request.most;
  Chunk chunk{is_last ? rest_->chunk.next : end[-1]->offset + 1, {begin, end}};
  if (is_last) rest_.reset();
  return chunk;
}

void ChunkReader::Work() {
  fetcher_->Connect();
  while (true) {
    Request request;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return ending_ || request_; });
      if (ending_) return;
      request = std::move(*request_);
      request_.reset();
    }
    auto chunk = std::make_shared<Result<Chunk>>(ReadNow(request));
    loop_.Post([this, alive = std::weak_ptr<int>(alive_), told = std::move(request.told), chunk = std::move(chunk)] {
      if (alive.expired()) return;
      reading_ = false;
      told(std::move(*chunk));
    });
  }
}

}  // namespace hearth::kafka
