#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "guest/agent/channel.h"
#include "guest/agent/fields.h"

namespace hearth::guest {
namespace {

class FieldsChannel final : public Channel {
 public:
  Result<bool> Ask(const Place& place) override;
  Result<void> Fill(const Told& told) override;
  std::expected<void, Answer> Order(const Run& run, std::int64_t deadline_ms) override;
  void AddPolls(std::vector<pollfd>& fds, std::vector<Source>& sources) const override;
  Heard Read(Source source) override;
  Answer Exited(int wait_status) override { return Ended(DescribeExit(wait_status)); }
  void Close() override;

 private:
  enum class Expects : std::uint8_t { kPrepared, kNothing, kAnswer };

  static Answer Ended(Answer answer) {
    answer.ended_us = MonotonicMicros();
    return answer;
  }
  Heard Take(std::vector<std::string> fields);
  Heard Broken(const Error& error);
  void Flush();

  FieldsReader messages_;
  std::optional<Error> fault_;  // of what came after the messages that are ready
  bool drained_ = false;        // the socket is empty, or will say so again
  std::string unsent_;
  Expects expects_ = Expects::kPrepared;
};

Result<bool> FieldsChannel::Ask(const Place& place) {
  if (place.services.zygote == nullptr) return Fail(Code::kUnavailable, "its interpreter is not available");
  auto run = MakeSocketPair(SOCK_STREAM);
  if (!run) return std::unexpected(run.error());
  auto log = MakePipe();
  if (!log) return std::unexpected(log.error());
  const std::string serial = std::to_string(place.serial), id = std::to_string(place.id);
  auto asked = place.services.zygote->Fork(
      {serial, id}, {place.holder.pidfd.get(), place.cgroup.procs_fd(), run->theirs.get(), log->theirs.get()});
  if (!asked) return std::unexpected(asked.error());
  runtime_ = std::move(run->ours);
  log_ = std::move(log->ours);
  return false;
}

Result<void> FieldsChannel::Fill(const Told& told) {
  std::vector<std::string_view> fields = {told.handler, told.function, told.version, told.memory_mib};
  for (const auto& [name, value] : told.environment) fields.insert(fields.end(), {name, value});
  const auto message = EncodeFields(fields);
  if (!message) return std::unexpected(message.error());
  unsent_ += *message;
  Flush();
  return {};
}

std::expected<void, Answer> FieldsChannel::Order(const Run& run, std::int64_t deadline_ms) {
  // One field of lines, since an interpreter cuts those fastest; only the last of them may be any text.
  const bool one_line = run.traceparent.find('\n') == std::string::npos;
  const std::string head = run.id.str() + '\n' + std::to_string(run.attempt) + '\n' + std::to_string(deadline_ms) +
                           '\n' + (one_line ? run.traceparent : std::string()) + '\n' + run.content_type;
  const auto message = EncodeFields({head, run.input});
  if (!message) {
    Answer answer;
    answer.type = "input_too_large";
    answer.message = message.error().message;
    return std::unexpected(answer);
  }
  expects_ = Expects::kAnswer;
  unsent_ += *message;
  Flush();
  return {};
}

void FieldsChannel::AddPolls(std::vector<pollfd>& fds, std::vector<Source>& sources) const {
  const std::size_t first = fds.size();
  Channel::AddPolls(fds, sources);
  if (open() && !unsent_.empty()) fds[first].events |= POLLOUT;
}

void FieldsChannel::Flush() {
  while (!unsent_.empty() && runtime_) {
    const ssize_t n = send(runtime_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) {
      unsent_.clear();  // the process is dying; its exit status, on its way from the zygote, says how
      return;
    }
    unsent_.erase(0, static_cast<std::size_t>(n));
  }
}

Channel::Heard FieldsChannel::Read(Source source) {
  if (source == Source::kLog) {
    DrainLog();
    return {};
  }
  Flush();
  for (;;) {
    if (auto fields = messages_.Next()) return Take(std::move(*fields));
    if (fault_) return Broken(*std::exchange(fault_, std::nullopt));
    if (expects_ == Expects::kNothing && !messages_.empty()) return {Heard::Kind::kForbidden};
    if (!runtime_ || std::exchange(drained_, false)) return {};
    std::array<char, 65536> block;  // not zeroed: that would cost more than most reads
    const ssize_t n = recv(runtime_.get(), block.data(), block.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return {};
    if (n <= 0) {
      runtime_.Reset();
      return {};
    }
    if (expects_ == Expects::kNothing) return {Heard::Kind::kForbidden};
    drained_ = n < static_cast<ssize_t>(block.size());
    if (auto fed = messages_.Feed({block.data(), static_cast<std::size_t>(n)}); !fed) fault_ = fed.error();
  }
}

Channel::Heard FieldsChannel::Take(std::vector<std::string> fields) {
  switch (expects_) {
    case Expects::kNothing: break;
    case Expects::kPrepared:
      if (fields.size() != 1 || fields.front() != "prepared") break;
      expects_ = Expects::kNothing;
      return {Heard::Kind::kPrepared};
    case Expects::kAnswer: {
      auto answer = ParseAnswer(std::move(fields));
      if (!answer) return Broken({Code::kInvalid, "a number of fields that no answer has"});
      expects_ = Expects::kNothing;
      return {Heard::Kind::kAnswer, std::move(*answer)};
    }
  }
  return {Heard::Kind::kForbidden};
}

Channel::Heard FieldsChannel::Broken(const Error& error) {
  if (expects_ != Expects::kAnswer) return {Heard::Kind::kForbidden};
  expects_ = Expects::kNothing;
  return {Heard::Kind::kBroken, Ended(BrokenAnswer(error))};
}

void FieldsChannel::Close() {
  Channel::Close();
  unsent_.clear();
}

}  // namespace

std::unique_ptr<Channel> MakeFieldsChannel() {
  return std::make_unique<FieldsChannel>();
}

}  // namespace hearth::guest
