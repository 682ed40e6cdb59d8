// The language in which stories about the dispatcher's core are told: a world of partitions named "std/0", users,
// functions and executors; what the core answers is collected and asked for by kind. Records lie in a log, from which
// they are read back, and ledger pages on a topic.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dispatcher/core/core.h"
#include "dispatcher/core/ledger_map.h"
#include "schemas/request.h"
#include "schemas/result.h"

namespace hearth::dispatcher {

inline PartitionId Part(const std::string& name) {
  const auto slash = name.find('/');
  return {"hearth.invoke." + name.substr(0, slash), std::stoi(name.substr(slash + 1))};
}

struct Ask {
  std::string user = "ada";
  std::string function = "sum";
  std::string id{};  // empty: "i<offset>"
  std::string order_key{};
  std::string reply_to{};
  std::int64_t expires_in_ms = 0;
  std::string payload = "1+1";
};

class CoreStory : public testing::Test {
 protected:
  CoreStory() { Start(); }

  // A new process: forgets everything.
  void Start() {
    Settings settings;
    settings.id = DispatcherId("d1");
    settings.request_topics = {{"hearth.invoke.rt", RequestClass::kRealtime},
                               {"hearth.invoke.std", RequestClass::kStandard},
                               {"hearth.invoke.batch", RequestClass::kBatch}};
    settings.reply_topics_allowed = {"mine.*"};
    settings.realtime_users = realtime_users_;
    settings.user_concurrency = user_concurrency_;
    settings.detailed_traces = detailed_traces_;
    settings.room = room_;
    settings.map_bytes = map_bytes_;
    settings.page_offsets = page_offsets_;
    settings.kept_spec_bytes = kept_spec_bytes_;
    core_ = std::make_unique<Core>(settings);
    effects_.clear();
    reading_.reset();
    writing_.clear();
    asks_for_pages_.reset();
    Deploy("ada", "sum");
  }

  void Step(const Event& event) {
    const std::size_t before = effects_.size();
    core_->Step(event, now_, effects_);
    for (std::size_t i = before; i < effects_.size(); ++i) NoteAsked(effects_[i]);
    const Gauges gauges = core_->ReadGauges(now_);
    ASSERT_EQ(gauges.received, gauges.in_flight + gauges.complete) << "I6";
    ASSERT_GE(gauges.queued, 0);
    ASSERT_GE(gauges.parked, 0);
    ASSERT_LE(gauges.parked, gauges.in_flight);
  }
  // Time goes by; the core is stepped often enough not to take it for a stall of its own.
  void Pass(std::int64_t ms) {
    constexpr std::int64_t kStepMs = 500;
    for (std::int64_t gone = 0; gone < ms; gone += kStepMs) Stall(std::min(kStepMs, ms - gone));
  }
  // Time goes by at once.
  void Stall(std::int64_t ms) {
    now_.mono_us += ms * kMicrosPerMilli;
    now_.wall_us += ms * kMicrosPerMilli;
    Step(Tick{});
  }
  // Time goes by while the executors keep sending heartbeats.
  void PassAlive(std::int64_t ms, const std::vector<std::string>& alive = {"e1"}) {
    for (std::int64_t gone = 0; gone < ms; gone += 100) {
      for (const auto& id : alive) Beat(id);
      Pass(std::min<std::int64_t>(100, ms - gone));
    }
    for (const auto& id : alive) Beat(id);
  }
  [[nodiscard]] std::int64_t WallMs() const { return now_.wall_us / kMicrosPerMilli; }

  void Deploy(const std::string& user, const std::string& name, std::int32_t max_attempts = 3, std::int64_t version = 1,
              std::int32_t concurrency = 0) {
    auto function = std::make_shared<Function>();
    function->user = UserId(user);
    function->name = FunctionName(name);
    function->version = version;
    function->code = CodeHash(std::string(64, 'a'));
    function->handler = "main.handle";
    function->max_attempts = max_attempts;
    function->concurrency = concurrency;
    Step(FunctionUpdated{function});
  }

  // ---- partitions ----
  void Assign(const std::string& name, std::int64_t committed = 0, const std::string& metadata = "",
              std::int64_t log_end = INT64_MAX) {
    Step(PartitionAssigned{Part(name), committed, metadata, log_end});
  }
  // Carries out the newest commit of the partition.
  void CommitEnds(const std::string& name, bool ok = true) {
    const auto commit = LastCommit(name);
    ASSERT_TRUE(commit.has_value()) << "nothing to commit for " << name;
    if (ok) kafka_[name] = {commit->offset, commit->metadata};
    if (auto map = DecodeLedgerMap(commit->metadata)) generations_[commit->partition] = map->generation;
    Step(CommitFinished{commit->partition, commit->epoch, ok, ok ? "" : "illegal generation"});
  }
  // Assigned, claimed, and every connected executor has nothing to say.
  void Own(const std::string& name) {
    const auto [offset, metadata] = kafka_[name];
    Assign(name, offset, metadata);
    CommitEnds(name);
    HaveNothingToReport(name);
  }
  void HaveNothingToReport(const std::string& name) {
    for (const auto& [executor, fence] : Fences(name)) {
      Step(ExecutorMessage{executor, link::FenceReport{fence.partition, fence.epoch, {}, {}}});
    }
  }
  void Revoke(const std::string& name, bool lost = false) { Step(PartitionRevoked{Part(name), lost}); }

  // It is produced, and the group's reader brings it.
  void Receive(const std::string& name, std::int64_t offset, const Ask& ask = {}) {
    Step(RecordsReceived{{Write(name, offset, ask)}});
  }
  // It is produced. Nobody brings it.
  std::shared_ptr<const Record> Write(const std::string& name, std::int64_t offset, const Ask& ask = {}) {
    Request request;
    request.user = UserId(ask.user);
    request.function = FunctionName(ask.function);
    request.id = InvocationId(ask.id.empty() ? "i" + std::to_string(offset) : ask.id);
    ids_[{Part(name), offset}] = request.id;
    request.order_key = ask.order_key;
    request.reply_to = ask.reply_to;
    request.payload = ask.payload;
    if (ask.expires_in_ms != 0) request.expires_ms = WallMs() + ask.expires_in_ms;
    const OutRecord out = EncodeRequest(request, Part(name).topic);
    return WriteRaw(name, offset, out.value, out.headers);
  }
  void ReceiveRaw(const std::string& name, std::int64_t offset, std::string value, std::vector<Header> headers = {}) {
    Step(RecordsReceived{{WriteRaw(name, offset, std::move(value), std::move(headers))}});
  }
  std::shared_ptr<const Record> WriteRaw(const std::string& name, std::int64_t offset, std::string value,
                                         std::vector<Header> headers = {}) {
    auto record = std::make_shared<Record>();
    record->partition = Part(name);
    record->offset = offset;
    record->timestamp_ms = StampMs(record->partition, offset);
    record->key = "key";
    record->value = std::move(value);
    record->headers = std::move(headers);
    Log& log = logs_[record->partition];
    log.records[offset] = record;
    log.end = std::max(log.end, offset + 1);
    return record;
  }

  // ---- reading back, and pages ----
  // The chunk that was asked for is read: so many records, as they lie in the log.
  void ReadBackEnds(std::int64_t most = INT64_MAX) {
    ASSERT_TRUE(reading_.has_value()) << "nothing is read back";
    const Log& log = logs_[reading_->partition];
    ReadBackFinished chunk{reading_->partition, reading_->offset, reading_->offset, {}, ""};
    auto at = log.records.lower_bound(reading_->offset);
    for (; at != log.records.end() && std::ssize(chunk.records) < std::min(most, reading_->most); ++at)
      chunk.records.push_back(at->second);
    chunk.next = at == log.records.end() ? std::max(log.end, chunk.offset) : chunk.records.back()->offset + 1;
    reading_.reset();
    Step(chunk);
  }
  void ReadBackFails() {
    ASSERT_TRUE(reading_.has_value()) << "nothing is read back";
    const ReadBack asked = *reading_;
    reading_.reset();
    Step(ReadBackFinished{asked.partition, asked.offset, asked.offset, {}, "nobody answers"});
  }
  // Whatever is asked for is read, until nothing is.
  void ReadAllBack(std::int64_t most = INT64_MAX) {
    constexpr int kMostChunks = 10'000;
    int chunks = 0;
    for (; reading_ && chunks < kMostChunks; ++chunks) ReadBackEnds(most);
    ASSERT_LT(chunks, kMostChunks) << "it reads for ever";
  }
  // Retention, or an operator, removes what lies in [from, to).
  void RemoveFromLog(const std::string& name, std::int64_t from, std::int64_t to) {
    auto& records = logs_[Part(name)].records;
    records.erase(records.lower_bound(from), records.lower_bound(to));
  }
  // The writes of pages that are under way end, in their order.
  void PagesAreWritten(bool ok = true) {
    for (const WritePage& write : std::exchange(writing_, {})) {
      if (ok) pages_[write.key] = write.value;
      Step(PageWritten{write.key, ok});
    }
  }
  // The pages that were asked for are read, as they stand on their topic.
  void PagesAreRead(bool ok = true) {
    ASSERT_TRUE(asks_for_pages_.has_value()) << "nobody asks for pages";
    PagesRead read{asks_for_pages_->partition, asks_for_pages_->epoch, {}, ok};
    for (const auto& [key, value] : pages_) {
      if (ok && key.partition == read.partition) read.pages.push_back({key, value});
    }
    asks_for_pages_.reset();
    Step(read);
  }
  // Whether a page of the partition says that the offset is complete.
  bool PagesClaim(const std::string& name, std::int64_t offset) const {
    return std::ranges::any_of(pages_, [&](const auto& one) {
      if (one.first.partition != Part(name)) return false;
      const auto complete = DecodeLedgerPage(one.second);
      if (!complete) return false;
      const std::int64_t at = offset - one.first.page * page_offsets_;
      return std::ranges::any_of(
          *complete, [&](const LedgerRange& range) { return range.start <= at && at < range.start + range.length; });
    });
  }

  // When the record was produced: the first time that anybody speaks of it.
  std::int64_t StampMs(const PartitionId& partition, std::int64_t offset) {
    return stamps_.try_emplace({partition, offset}, WallMs()).first->second;
  }
  InvocationId IdOf(const link::AttemptRef& ref) const {
    const auto known = ids_.find({ref.partition, ref.offset});
    return known != ids_.end() ? known->second : InvocationId("i" + std::to_string(ref.offset));
  }
  // References that a story writes by hand are of the generation that is in force.
  link::AttemptRef InForce(link::AttemptRef ref) {
    if (ref.generation == 0) ref.generation = generations_[ref.partition];
    return ref;
  }

  // ---- executors ----
  static std::vector<link::ProfileCapacity> Profiles() { return {{"default", 4, 0, 4}}; }
  void Connect(const std::string& id, std::int32_t credit = 8, const std::string& incarnation = "first",
               std::vector<link::Slot> slots = {}) {
    link::ExecutorHello hello;
    hello.executor = ExecutorId(id);
    hello.incarnation = incarnation;
    hello.credit = credit;
    hello.profiles = Profiles();
    hello.slots = std::move(slots);
    credit_[id] = credit;
    Step(ExecutorConnected{hello});
  }
  void Disconnect(const std::string& id) { Step(ExecutorDisconnected{ExecutorId(id)}); }
  void Beat(const std::string& id, std::int32_t held = 0) {
    link::Heartbeat heartbeat;
    heartbeat.credit = credit_[id];
    heartbeat.held = held;
    heartbeat.profiles = Profiles();
    Step(ExecutorMessage{ExecutorId(id), heartbeat});
  }
  void Report(const std::string& id, const std::string& name, std::int64_t epoch, std::vector<link::AttemptRef> running,
              std::vector<link::Done> finished = {}) {
    link::FenceReport report{Part(name), epoch, {}, std::move(finished)};
    for (link::AttemptRef& ref : running) {
      report.running.push_back({InForce(ref), IdOf(ref), StampMs(ref.partition, ref.offset) * kMicrosPerMilli});
    }
    for (link::Done& done : report.finished) done.ref.epoch = epoch;  // as an executor that was fenced says it
    Step(ExecutorMessage{ExecutorId(id), std::move(report)});
  }
  link::Done MakeDone(const link::AttemptRef& ref, link::Outcome outcome, Status status, bool started = true) {
    link::Done done;
    done.ref = InForce(ref);
    done.times.enqueued_us = StampMs(ref.partition, ref.offset) * kMicrosPerMilli;
    done.id = IdOf(ref);
    done.outcome = outcome;
    done.status = status;
    if (status != Status::kOk) {
      done.error_type = "ValueError";
      done.error_message = "no such number";
    }
    if (started) done.times.leased_us = 1;
    return done;
  }
  void Done(const std::string& id, const link::AttemptRef& ref, link::Outcome outcome = link::Outcome::kPublished,
            Status status = Status::kOk) {
    Step(ExecutorMessage{ExecutorId(id), MakeDone(ref, outcome, status)});
  }
  void Nack(const std::string& id, const link::AttemptRef& ref, link::NackReason reason) {
    Step(ExecutorMessage{ExecutorId(id), link::Nack{ref, reason}});
  }

  // ---- what the core did ----
  template <class T>
  std::vector<T> All() const {
    std::vector<T> all;
    for (const Effect& effect : effects_) {
      if (const auto* one = std::get_if<T>(&effect)) all.push_back(*one);
    }
    return all;
  }
  void Forget() { effects_.clear(); }

  std::vector<std::pair<ExecutorId, link::Exec>> Execs() const { return Sent<link::Exec>(); }
  std::vector<std::pair<ExecutorId, link::Fence>> Fences(const std::string& name) const {
    auto fences = Sent<link::Fence>();
    std::erase_if(fences, [&](const auto& one) { return one.second.partition != Part(name); });
    return fences;
  }
  template <class T>
  std::vector<std::pair<ExecutorId, T>> Sent() const {
    std::vector<std::pair<ExecutorId, T>> sent;
    for (const auto& one : All<SendToExecutor>()) {
      if (const auto* message = std::get_if<T>(&one.message)) sent.emplace_back(one.executor, *message);
    }
    return sent;
  }
  // Exactly one Exec since the last look, of that record, to that executor; forgets what was seen.
  link::Exec ExpectExec(const std::string& id, std::int64_t offset) {
    const auto execs = Execs();
    Forget();
    EXPECT_EQ(execs.size(), 1U) << "expected one Exec, of offset " << offset;
    if (execs.size() != 1) return {};
    EXPECT_EQ(execs[0].first, ExecutorId(id));
    EXPECT_EQ(execs[0].second.ref.offset, offset);
    return execs[0].second;
  }
  void ExpectNoExec() const { EXPECT_TRUE(Execs().empty()) << "offset " << Execs()[0].second.ref.offset; }
  // Exactly one Produce since the last look, to that topic; forgets what was seen.
  Produce ExpectProduce(const std::string& topic) {
    const auto produces = All<Produce>();
    Forget();
    EXPECT_EQ(produces.size(), 1U) << "expected one record to " << topic;
    if (produces.size() != 1) return {};
    EXPECT_EQ(produces[0].record->topic, topic);
    return produces[0];
  }
  void Delivered(const Produce& produce, bool ok = true) {
    Step(ProduceFinished{produce.token, ok, ok ? "" : "unknown topic"});
  }
  std::optional<Commit> LastCommit(const std::string& name) const {
    std::optional<Commit> last;
    for (const Commit& commit : All<Commit>()) {
      if (commit.partition == Part(name)) last = commit;
    }
    return last;
  }
  // What a commit due now says; empty if there is none to make.
  std::optional<Commit> CommitNow(const std::string& name) {
    Forget();
    Pass(250);
    return LastCommit(name);
  }
  bool Traced(Trace::Kind kind, const std::string& constraint = "") const {
    for (const Trace& trace : All<Trace>()) {
      if (trace.kind == kind && (constraint.empty() || trace.constraint == constraint)) return true;
    }
    return false;
  }
  Gauges Numbers() const { return core_->ReadGauges(now_); }
  static std::string HeaderOf(const OutRecord& record, const std::string& name) {
    for (const Header& header : record.headers) {
      if (header.name == name) return header.value;
    }
    return "";
  }

  // What the core waits for, whatever of its effects a story forgets.
  void NoteAsked(const Effect& effect) {
    if (const auto* read = std::get_if<ReadBack>(&effect)) {
      ASSERT_FALSE(reading_.has_value()) << "one chunk is under way at most";
      reading_ = *read;
    } else if (const auto* write = std::get_if<WritePage>(&effect)) {
      if (write->value.empty()) {
        pages_.erase(write->key);
      } else {
        for (const WritePage& other : writing_) ASSERT_NE(other.key, write->key) << "two writes of one page";
        writing_.push_back(*write);
      }
    } else if (const auto* pages = std::get_if<ReadPages>(&effect)) {
      asks_for_pages_ = *pages;
    }
  }

  struct Log {
    std::map<std::int64_t, std::shared_ptr<const Record>> records;  // by offset
    std::int64_t end = 0;
  };

  std::unique_ptr<Core> core_;
  Time now_{1'000'000'000, 1'700'000'000'000'000};
  std::vector<Effect> effects_;
  std::vector<std::string> realtime_users_ = {"*"};
  bool detailed_traces_ = true;
  std::int32_t user_concurrency_ = 64;
  Room room_;
  std::size_t map_bytes_ = kMaxLedgerMapBytes;
  std::int64_t page_offsets_ = kPageOffsets;
  std::size_t kept_spec_bytes_ = kKeptSpecBytes;
  std::map<PartitionId, Log> logs_;
  std::map<PageKey, std::string> pages_;  // on their topic
  std::optional<ReadBack> reading_;       // under way
  std::vector<WritePage> writing_;        // under way
  std::optional<ReadPages> asks_for_pages_;
  std::map<std::string, std::pair<std::int64_t, std::string>> kafka_;  // what is committed
  std::map<std::string, std::int32_t> credit_;
  std::map<std::pair<PartitionId, std::int64_t>, std::int64_t> stamps_;
  std::map<PartitionId, std::int64_t> generations_;
  std::map<std::pair<PartitionId, std::int64_t>, InvocationId> ids_;
};

}  // namespace hearth::dispatcher
