#include "tools/bench/warm.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "common/base/time.h"
#include "schemas/request.h"
#include "schemas/result.h"
#include "tools/bench/echo.h"
#include "tools/bench/figures.h"
#include "tools/machine/machine.h"

namespace hearth::bench {
namespace {

constexpr const char* kHearthRequests = "hearth.invoke.rt";
constexpr const char* kHearthReplies = "hearth.reply";
constexpr int kWarmUp = 20;
constexpr std::int64_t kLateMs = 2000;  // how long a second reply to a request is waited for at the end

struct Stage {
  const char* name;
  std::int64_t Times::* from;
  std::int64_t Times::* to;
  Series series;
};

class Warm {
 public:
  Warm(const WarmOptions& options, Sender sender, kafka::TailReader replies, EchoFloor& echoes)
      : options_(options), sender_(std::move(sender)), replies_(std::move(replies)), echoes_(echoes) {}

  // `machine` may be null.
  Result<void> Run(guest::Machine* machine);
  bool Print() const;

 private:
  Result<void> Invoke(const std::string& id, bool counts);
  Result<void> Echo(const std::string& id, bool counts);
  Result<void> Ping(guest::Machine& machine, bool counts);
  void Note(const Record& reply);
  Request MakeRequest(const std::string& id) const;
  OutRecord MakeRecord(const std::string& id) const;
  bool IsOurs(const Record& reply) const;

  const WarmOptions& options_;
  Sender sender_;
  kafka::TailReader replies_;
  EchoFloor& echoes_;
  std::unordered_map<std::string, int> results_;  // requests that count: replies seen
  std::map<std::string, int> statuses_;
  std::map<std::string, int> paths_;
  std::string acceleration_;
  Series back_;  // both ends on this host's wall clock
  Series total_;
  Series echo_;
  Series ping_;
  std::uint64_t pings_ = 0;
  std::vector<Stage> stages_ = {
      {"enqueued → received (1 ms clock)", &Times::enqueued_us, &Times::received_us, {}},
      {"received → placed", &Times::received_us, &Times::placed_us, {}},
      {"placed → leased", &Times::placed_us, &Times::leased_us, {}},
      {"leased → started (into the guest)", &Times::leased_us, &Times::started_us, {}},
      {"started → ended (user code)", &Times::started_us, &Times::ended_us, {}},
      {"received → started (start)", &Times::received_us, &Times::started_us, {}},
  };
};

Request Warm::MakeRequest(const std::string& id) const {
  Request request;
  request.form = RequestForm::kHeaders;
  request.id = InvocationId(id);
  request.user = UserId(options_.user);
  request.function = FunctionName(options_.function);
  request.reply_to = kHearthReplies;
  request.payload = "null";
  return request;
}

OutRecord Warm::MakeRecord(const std::string& id) const {
  auto record = EncodeRequest(MakeRequest(id), kHearthRequests);
  record.key = options_.user;
  return record;
}

// Not another's under the same id. One that cannot be read is told as such.
bool Warm::IsOurs(const Record& reply) const {
  const auto result = DecodeReply(reply);
  return !result || Answers(*result, MakeRequest(reply.key));
}

void Warm::Note(const Record& reply) {
  const auto known = results_.find(reply.key);
  if (known == results_.end()) return;
  ++known->second;
  auto result = DecodeReply(reply);
  if (!result) {
    ++statuses_["unreadable"];
    return;
  }
  ++statuses_[std::string(StatusName(result->status))];
  ++paths_[std::string(StartPathName(result->start_path))];
  acceleration_ = result->acceleration;
  for (auto& stage : stages_) stage.series.AddSpan(result->times.*stage.from, result->times.*stage.to);
  back_.AddSpan(result->times.ended_us, ReadClocks().wall_us);
}

Result<void> Warm::Invoke(const std::string& id, bool counts) {
  const auto record = MakeRecord(id);
  if (counts) results_.emplace(id, 0);
  const std::int64_t begin_us = ReadClocks().mono_us;
  if (auto sent = sender_.Send(record); !sent) return sent;
  while (true) {
    const std::int64_t left_ms = options_.wait_ms - (ReadClocks().mono_us - begin_us) / kMicrosPerMilli;
    if (left_ms <= 0) return Fail(Code::kDeadline, "no reply to " + id);
    auto reply = replies_.Next(left_ms);
    if (!reply) return std::unexpected(reply.error());
    if (!*reply || !IsOurs(**reply)) continue;
    const std::int64_t end_us = ReadClocks().mono_us;
    sender_.Poll();
    Note(**reply);
    if ((*reply)->key != id) continue;
    if (counts) total_.Add(end_us - begin_us);
    return {};
  }
}

Result<void> Warm::Echo(const std::string& id, bool counts) {
  auto took_us = echoes_.Measure(MakeRecord(id), options_.wait_ms);
  if (!took_us) return std::unexpected(took_us.error());
  if (counts) echo_.Add(*took_us);
  return {};
}

Result<void> Warm::Ping(guest::Machine& machine, bool counts) {
  const std::int64_t begin_us = ReadClocks().mono_us;
  machine.Send(0, guest::Ping{++pings_});
  if (auto pong = machine.Expect<guest::Pong>(0); !pong) return std::unexpected(pong.error());
  if (counts) ping_.Add(ReadClocks().mono_us - begin_us);
  return {};
}

Result<void> Warm::Run(guest::Machine* machine) {
  const auto prefix = fmt::format("bench-{}", ReadClocks().wall_us);
  for (int i = 0; i < kWarmUp; ++i) {
    if (auto done = Invoke(fmt::format("{}-w{}", prefix, i), false); !done) return done;
    if (auto done = Echo(fmt::format("{}-v{}", prefix, i), false); !done) return done;
    if (machine == nullptr) continue;
    if (auto done = Ping(*machine, false); !done) return done;
  }
  for (int sent = 0; sent < options_.count;) {
    const int until = std::min(options_.count, sent + options_.block);
    for (int i = sent; i < until; ++i) {
      if (auto done = Invoke(fmt::format("{}-{}", prefix, i), true); !done) return done;
    }
    for (int i = sent; i < until; ++i) {
      if (auto done = Echo(fmt::format("{}-e{}", prefix, i), true); !done) return done;
    }
    for (int i = sent; i < until && machine != nullptr; ++i) {
      if (auto done = Ping(*machine, true); !done) return done;
    }
    sent = until;
  }
  const std::int64_t end_us = ReadClocks().mono_us + kLateMs * kMicrosPerMilli;
  while (ReadClocks().mono_us < end_us) {
    if (auto late = replies_.Next(kLateMs / 10); late && *late) Note(**late);
  }
  return {};
}

bool Warm::Print() const {
  Table table({"milliseconds", "count", "min", "p50", "p99"}, options_.markdown);
  for (const auto& stage : stages_) table.AddSeries(stage.name, stage.series);
  table.AddSeries("ended → reply consumed", back_);
  table.AddSeries("total: sent → reply consumed", total_);
  table.AddSeries("raw Kafka echo of the same run", echo_);
  table.AddSeries("bare guest ping of the same run", ping_);
  fmt::print("{}", table.Text());
  const auto ratio = [this](double share) { return total_.At(share) / (echo_.At(share) + ping_.At(share)); };
  fmt::print("ratio total / (echo + ping): min {:.2f}, p50 {:.2f}, p99 {:.2f}\n", ratio(0), ratio(0.5), ratio(0.99));
  fmt::print("acceleration: {}\nstart paths:", acceleration_);
  for (const auto& [path, count] : paths_) fmt::print(" {} {}", path, count);
  fmt::print("\nresults:");
  for (const auto& [status, count] : statuses_) fmt::print(" {} {}", status, count);
  int once = 0;
  int never = 0;
  int often = 0;
  for (const auto& [id, count] : results_) ++(count == 1 ? once : count == 0 ? never : often);
  fmt::print("\nrequests: {} of {} sent, {} with one result, {} with none, {} with more\n", results_.size(),
             options_.count, once, never, often);
  const auto ok = statuses_.find("ok");
  return once == options_.count && ok != statuses_.end() && ok->second == options_.count;
}

}  // namespace

int RunWarm(const WarmOptions& options) {
  const auto unreachable = [](const Error& error) {
    fmt::print(stderr, "hearth-bench: {}\n", error.message);
    return 3;
  };
  auto echoes = EchoFloor::Open(options.bootstrap);
  if (!echoes) return unreachable(echoes.error());
  auto sender = Sender::Create(options.bootstrap, "hearth-bench");
  if (!sender) return unreachable(sender.error());
  auto replies = OpenNew(options.bootstrap, "hearth-bench", kHearthReplies);
  if (!replies) return unreachable(replies.error());
  std::unique_ptr<guest::Machine> machine;
  if (!options.image.empty()) {
    auto started = guest::Machine::Start(options.image);
    if (!started) return unreachable(started.error());
    machine = std::move(*started);
    if (auto hello = machine->Expect<guest::Hello>(0, guest::kBootTimeout); !hello) return unreachable(hello.error());
  }
  Warm warm(options, std::move(*sender), std::move(*replies), **echoes);
  const auto done = warm.Run(machine.get());
  if (!done) fmt::print(stderr, "hearth-bench: {}\n", done.error().message);
  return warm.Print() && done ? 0 : 1;
}

}  // namespace hearth::bench
