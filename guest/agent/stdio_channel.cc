#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "guest/agent/channel.h"
#include "schemas/limits.h"

namespace hearth::guest {
namespace {

class StdioChannel final : public Channel {
 public:
  ~StdioChannel() override {
    if (launch_ != nullptr) munmap(launch_, sizeof(Launch));
  }
  Result<bool> Ask(const Place& place) override;
  Result<void> Fill(const Told& told) override;
  std::expected<void, Answer> Order(const Run& run, std::int64_t deadline_ms) override;
  void Prepare() override;
  void AddPolls(std::vector<pollfd>& fds, std::vector<Source>& sources) const override;
  Heard Read(Source source) override;
  Answer Exited(int wait_status) override { return Ended(wait_status); }  // it went with the launcher
  void RunEnded() override;
  void Close() override;
  [[nodiscard]] std::string StartFault() const override;
  [[nodiscard]] bool waiting() const override { return launch_->waiting; }
  [[nodiscard]] std::int64_t started_us() const override { return launch_->start_us; }

 private:
  // A program's process that waits for its order.
  struct Standby {
    Fd input, output, log;
  };

  Result<void> MakeStandby();
  Result<void> GiveOrder(const Run& run, std::int64_t deadline_ms);
  Heard ReadLauncher();
  Heard ReadOutput();
  Answer Ended(int wait_status);

  Launch* launch_ = nullptr;  // shared with the launcher
  std::optional<Standby> standby_;
  std::vector<std::string> order_;  // what every run's order begins with: path, environment
  std::string program_;
  bool running_ = false;
  bool told_ = false;  // of the end: the launcher says nothing more
  Fd output_;
  std::string output_text_;  // what came so far
  bool too_large_ = false;
};

Result<bool> StdioChannel::Ask(const Place& place) {
  void* page = mmap(nullptr, sizeof(Launch), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) std::abort();  // one page
  launch_ = static_cast<Launch*>(page);
  auto orders = MakeSocketPair(SOCK_SEQPACKET);
  if (!orders) return std::unexpected(orders.error());
  runtime_ = std::move(orders->ours);
  if (auto made = MakeStandby(); !made) return std::unexpected(made.error());  // waits in the socket for the launcher
  auto pid = StartLauncher(place.holder, place.cgroup.procs_fd(), place.id, place.services.seccomp_program,
                           orders->theirs.get(), launch_);
  if (!pid) return std::unexpected(pid.error());
  pid_ = *pid;
  return true;
}

Result<void> StdioChannel::Fill(const Told& told) {
  program_ = told.handler;
  order_.push_back("/code/" + program_);
  for (const auto& [name, value] : told.environment) order_.push_back(std::string(name).append("=").append(value));
  return {};
}

// Only while no user code is there: the launcher is the container's one process, and the program's will be the other.
Result<void> StdioChannel::MakeStandby() {
  auto input = MakeMemoryFile();
  if (!input) return std::unexpected(input.error());
  auto output = MakePipe();
  if (!output) return std::unexpected(output.error());
  auto log = MakePipe();
  if (!log) return std::unexpected(log.error());
  *launch_ = Launch();
  auto asked = PrepareProgram(runtime_, {input->get(), output->theirs.get(), log->theirs.get()});
  if (!asked) return asked;
  standby_.emplace(std::move(*input), std::move(output->ours), std::move(log->ours));
  return {};
}

void StdioChannel::Prepare() {
  if (!standby_) (void)MakeStandby();  // where it fails, the next order tries again and says why
}

std::expected<void, Answer> StdioChannel::Order(const Run& run, std::int64_t deadline_ms) {
  auto given = GiveOrder(run, deadline_ms);
  if (given) return {};
  Hangup();  // a program may wait for an order that will never come: the container goes
  Answer answer;
  answer.type = "exec";
  answer.message = given.error().message;
  answer.started_us = answer.ended_us = MonotonicMicros();
  return std::unexpected(answer);
}

Result<void> StdioChannel::GiveOrder(const Run& run, std::int64_t deadline_ms) {
  if (!standby_) {
    if (auto made = MakeStandby(); !made) return made;
  }
  const std::string values[] = {run.id.str(), std::to_string(run.attempt), std::to_string(deadline_ms),
                                run.content_type, run.traceparent};
  std::vector<std::string> order = order_;
  for (std::size_t i = 0; i < std::size(values); ++i) {
    order.push_back(std::string(kOfTheInvocation[i]).append("=").append(values[i]));
  }
  Standby standby = std::move(*standby_);
  standby_.reset();
  if (auto filled = FillAndSeal(standby.input, run.input); !filled) return filled;
  output_ = std::move(standby.output);
  log_ = std::move(standby.log);
  running_ = true;
  too_large_ = false;
  return SendOrder(runtime_, order);
}

void StdioChannel::AddPolls(std::vector<pollfd>& fds, std::vector<Source>& sources) const {
  Channel::AddPolls(fds, sources);
  if (!output_) return;
  fds.push_back({output_.get(), POLLIN, 0});
  sources.push_back(Source::kOutput);
}

Channel::Heard StdioChannel::Read(Source source) {
  switch (source) {
    case Source::kLog: DrainLog(); return {};
    case Source::kOutput: return ReadOutput();
    case Source::kRuntime: return std::exchange(told_, false) ? Heard() : ReadLauncher();
  }
  return {};
}

Channel::Heard StdioChannel::ReadLauncher() {
  int wait_status = 0;
  if (!runtime_) return {};
  const ssize_t n = recv(runtime_.get(), &wait_status, sizeof wait_status, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return {};
  if (n <= 0) {
    runtime_.Reset();  // its exit status follows
    return {};
  }
  if (!running_) return {};
  told_ = true;
  Answer answer = Ended(wait_status);
  return {too_large_ ? Heard::Kind::kBroken : Heard::Kind::kAnswer, std::move(answer)};
}

Channel::Heard StdioChannel::ReadOutput() {
  std::array<char, 65536> block;  // not zeroed: that would cost more than most reads
  while (output_) {
    const ssize_t n = read(output_.get(), block.data(), block.size());
    if (n < 0 && errno == EAGAIN) return {};
    if (n <= 0) {
      output_.Reset();
      return {};
    }
    if (!running_) continue;
    if (output_text_.size() + static_cast<std::size_t>(n) > kMaxOutputBytes) {
      too_large_ = true;
      output_.Reset();
      return {Heard::Kind::kTooLarge};
    }
    output_text_.append(block.data(), static_cast<std::size_t>(n));
  }
  return {};
}

Answer StdioChannel::Ended(int wait_status) {
  const std::int64_t now = MonotonicMicros();
  (void)ReadOutput();
  Answer answer;
  if (too_large_) {
    answer = BrokenAnswer({Code::kExhausted, {}});
  } else if (launch_->error != 0) {
    answer.type = "exec";
    answer.message = std::string(launch_->step) + " " + program_ + ": " + std::strerror(launch_->error);
  } else if (wait_status != 0) {
    answer = DescribeExit(wait_status);
  } else {
    answer.status = Status::kOk;
    answer.output = std::move(output_text_);
  }
  const bool began = launch_->start_us != 0 && (too_large_ || launch_->error == 0);
  answer.started_us = began ? launch_->start_us : now;
  answer.ended_us = now;
  return answer;
}

void StdioChannel::RunEnded() {
  running_ = false;
  output_.Reset();
  output_text_.clear();
  log_.Reset();  // the next program has one of its own
}

void StdioChannel::Close() {
  Channel::Close();
  output_.Reset();
  standby_.reset();
}

std::string StdioChannel::StartFault() const {
  if (launch_->error == 0) return {};
  return std::string(launch_->step) + ": " + std::strerror(launch_->error);
}

}  // namespace

std::unique_ptr<Channel> MakeStdioChannel() {
  return std::make_unique<StdioChannel>();
}

}  // namespace hearth::guest
