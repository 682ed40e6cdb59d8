#include "tools/bench/load_phase.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <vector>

#include "common/base/time.h"
#include "tools/bench/processes.h"

namespace hearth::bench {
namespace {

constexpr int kPollMs = 20;
constexpr int kPollBetweenMs = 1;      // in the open loop, where the next record is due before long
constexpr int kSentBetweenPolls = 64;  // so that answers are taken in time where much is due at once
constexpr std::int64_t kProgressMs = 1000;

class Phase {
 public:
  Phase(LoadClient& client, const PhaseOptions& options) : client_(client), options_(options) {}
  Result<PhaseFigures> Run();

 private:
  [[nodiscard]] bool open_loop() const { return options_.rate > 0; }
  [[nodiscard]] bool complete() const { return options_.count > 0 && figures_.sent >= options_.count; }
  [[nodiscard]] std::int64_t DueUs(std::uint64_t number) const {
    return begin_us_ + static_cast<std::int64_t>(static_cast<double>(number) * kMicrosPerSecond / options_.rate);
  }
  Result<void> SendDue(std::int64_t now_us);
  Result<void> SendOne(std::int64_t counted_from_us);
  void Take(std::string_view key, std::string_view status);
  std::optional<std::uint64_t> NumberOf(std::string_view key) const;
  void Tell(std::int64_t now_us);

  LoadClient& client_;
  const PhaseOptions& options_;
  PhaseFigures figures_;
  std::vector<std::int64_t> sent_us_;  // by number; 0: answered
  std::int64_t begin_us_ = 0;
  std::int64_t last_us_ = 0;
  std::int64_t told_us_ = 0;
};

std::optional<std::uint64_t> Phase::NumberOf(std::string_view key) const {
  if (!key.starts_with(options_.prefix)) return std::nullopt;
  key.remove_prefix(options_.prefix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), number);
  if (error != std::errc{} || end != key.data() + key.size() || number >= sent_us_.size()) return std::nullopt;
  return number;
}

void Phase::Take(std::string_view key, std::string_view status) {
  const auto number = NumberOf(key);
  if (!number) return;
  if (sent_us_[*number] == 0) {
    ++figures_.repeated;
    return;
  }
  last_us_ = ReadClocks().mono_us;
  figures_.latency.Add(last_us_ - sent_us_[*number]);
  sent_us_[*number] = 0;
  ++figures_.answered;
  const auto known = figures_.statuses.find(status);
  if (known != figures_.statuses.end()) {
    ++known->second;
  } else {
    figures_.statuses.emplace(status, 1);
  }
}

Result<void> Phase::SendOne(std::int64_t counted_from_us) {
  const std::uint64_t number = figures_.sent;
  auto sent = client_.Send(options_.make(options_.prefix + std::to_string(number), number));
  if (!sent) return sent;
  sent_us_.push_back(counted_from_us);
  ++figures_.sent;
  return {};
}

Result<void> Phase::SendDue(std::int64_t now_us) {
  for (int i = 0; i < kSentBetweenPolls && !complete(); ++i) {
    if (open_loop()) {
      const std::int64_t due_us = DueUs(figures_.sent);
      if (due_us > now_us) return {};
      if (auto sent = SendOne(due_us); !sent) return sent;
    } else {
      if (figures_.sent - figures_.answered >= static_cast<std::uint64_t>(options_.in_flight)) return {};
      if (auto sent = SendOne(ReadClocks().mono_us); !sent) return sent;
    }
  }
  return {};
}

void Phase::Tell(std::int64_t now_us) {
  if (!options_.progress || now_us - told_us_ < kProgressMs * kMicrosPerMilli) return;
  told_us_ = now_us;
  options_.progress(figures_.answered);
}

Result<PhaseFigures> Phase::Run() {
  begin_us_ = last_us_ = told_us_ = ReadClocks().mono_us;
  const std::int64_t end_us = begin_us_ + static_cast<std::int64_t>(options_.seconds * kMicrosPerSecond);
  const auto take = [this](std::string_view key, std::string_view status, std::string_view) { Take(key, status); };
  for (std::int64_t now_us = begin_us_; now_us < end_us && !complete(); now_us = ReadClocks().mono_us) {
    if (ToldToEnd()) return Fail(Code::kUnavailable, "told to end");
    if (auto sent = SendDue(now_us); !sent) return std::unexpected(sent.error());
    const bool more = open_loop() ? DueUs(figures_.sent) <= now_us
                                  : figures_.sent - figures_.answered < static_cast<std::uint64_t>(options_.in_flight);
    client_.Poll(more ? 0 : open_loop() ? kPollBetweenMs : kPollMs, take);
    Tell(now_us);
  }
  const std::int64_t drained_us = ReadClocks().mono_us + kDrainMs * kMicrosPerMilli;
  while (figures_.answered < figures_.sent && ReadClocks().mono_us < drained_us) {
    if (ToldToEnd()) return Fail(Code::kUnavailable, "told to end");
    client_.Poll(kPollMs, take);
    Tell(ReadClocks().mono_us);
  }
  figures_.seconds = static_cast<double>(last_us_ - begin_us_) / kMicrosPerSecond;
  return std::move(figures_);
}

}  // namespace

void PhaseFigures::Add(const PhaseFigures& other) {
  sent += other.sent;
  answered += other.answered;
  repeated += other.repeated;
  seconds += other.seconds;
  latency.Add(other.latency);
  for (const auto& [status, count] : other.statuses) statuses[status] += count;
}

Result<PhaseFigures> RunPhase(LoadClient& client, const PhaseOptions& options) {
  return Phase(client, options).Run();
}

}  // namespace hearth::bench
