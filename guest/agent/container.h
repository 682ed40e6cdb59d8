// One container: its holder, its cgroup, its runtime process, and the attempt it runs. It is made empty, nobody's, with
// all that does not depend on whose it will be; Fill makes it that of one function version, once. A state machine
// stepped by the agent's loop; what the executor must hear is appended to `out`. How the process is spoken to is its
// channel's (channel.h).
//
//   kStarting ──prepared──▶ kEmpty ──Fill──▶ kIdle ──Start──▶ kRunning ──answer──▶ kChecking ──check──▶ kIdle
//   any ──▶ kDying ──all processes reaped, cgroup removed──▶ gone
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "guest/agent/cgroup.h"
#include "guest/agent/channel.h"
#include "guest/agent/sandbox.h"
#include "schemas/guest.h"

namespace hearth::guest {

constexpr std::int64_t kStartTimeoutMicros = 10'000'000;  // of a runtime process until it is ready
constexpr std::int64_t kFirstRunMicros = 1'000'000;       // within which an executor runs what it had made
constexpr std::int64_t kReapRetryMicros = 5'000;
constexpr uid_t kFirstContainerId = 10'000;
constexpr std::size_t kMaxEnvironmentEntries = 256;

class Container {
 public:
  // What Fill refuses whatever the container.
  static Result<void> Check(const Create& create);
  // Makes namespaces and cgroup and asks for the process. `serial` is its own among all of the machine, for ever.
  // `code_folder` is what it has at /code until it is filled with other code.
  static Result<std::unique_ptr<Container>> MakeEmpty(const Services& services, std::uint32_t serial, Runtime runtime,
                                                      const std::string& code_folder);
  ~Container();
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;

  // Descriptors to wait for, with what they are.
  void AddPolls(std::vector<pollfd>& fds, std::vector<Channel::Source>& sources) const;
  void Readable(Channel::Source source, std::vector<Message>& out);

  // Gives it a function, and an identity made of the machine and `number`. Legal until it was filled, prepared or not;
  // where it fails the container dies. Created follows, at once where it was prepared.
  Result<void> Fill(std::uint32_t number, Create create, const std::string& code_folder, std::vector<Message>& out);
  // Legal only when it is idle; anything else is refused with an Ended of status kError.
  void Start(Run run, std::int64_t received_us, std::vector<Message>& out);
  // The check after a run, once its answer is on its way: nothing of the run is left over, and the container is idle.
  // Does nothing where no run has ended since the last check.
  void CheckAfterRun(std::vector<Message>& out);
  void Remove(const std::string& reason, std::vector<Message>& out);
  void Tick(std::int64_t now_us, std::vector<Message>& out);
  // What can be done ahead of the next Start, when the loop has nothing more urgent.
  void Prepare();
  void ProcessExited(int wait_status, std::vector<Message>& out);  // the one that the channel speaks to
  void HolderExited(std::vector<Message>& out);

  [[nodiscard]] std::optional<std::int64_t> wake_at_us() const { return wake_at_us_; }
  [[nodiscard]] pid_t holder_pid() const { return holder_.pid; }
  [[nodiscard]] pid_t process_pid() const { return channel_->pid(); }
  [[nodiscard]] std::uint32_t serial() const { return serial_; }
  // Somebody waits for it, or is about to: the first run of a container follows at once.
  [[nodiscard]] bool busy(std::int64_t now_us) const {
    return state_ == State::kRunning || (filled_ && now_us < first_run_by_us_);
  }
  // Its process waits for a function, all rights given up.
  [[nodiscard]] bool prepared() const { return state_ == State::kEmpty && channel_->waiting(); }
  [[nodiscard]] bool checking() const { return state_ == State::kChecking; }
  [[nodiscard]] bool dying() const { return state_ == State::kDying; }
  [[nodiscard]] bool gone() const { return state_ == State::kGone; }

 private:
  enum class State : std::uint8_t { kStarting, kEmpty, kIdle, kRunning, kChecking, kDying, kGone };
  struct Attempt {
    Run run;
    std::int64_t received_us = 0;
    bool killed = false;  // for what it wrote
  };
  // What the check after a run has to know of it.
  struct Outcome {
    bool killed = false;
    std::int64_t memory_peak_bytes = 0;
  };

  Container(const Services& services, std::uint32_t serial, Runtime runtime, Holder holder, Cgroup cgroup);

  [[nodiscard]] uid_t id() const { return kFirstContainerId + serial_ % 50'000; }
  [[nodiscard]] std::vector<Variable> Environment(const std::string& version, const std::string& memory) const;
  Result<void> TellFunction();
  void Prepared(std::vector<Message>& out);
  void Finish(Answer answer, std::vector<Message>& out);
  [[nodiscard]] std::string WhyUnfit() const;
  void Die(std::string reason, std::vector<Message>& out);
  void TryReap(std::vector<Message>& out);

  const Services& services_;
  const std::uint32_t serial_;
  Create create_;  // all but the runtime: since Fill
  bool filled_ = false;
  std::int64_t first_run_by_us_ = 0;  // 0 once it has run
  Holder holder_;
  Cgroup cgroup_;
  std::unique_ptr<Channel> channel_;
  State state_ = State::kStarting;
  std::optional<Attempt> attempt_;
  Outcome outcome_;  // of the last run
  std::optional<std::int64_t> wake_at_us_;
  std::int64_t cpu_seen_us_ = 0;  // reported so far; what an idle container used is the next attempt's
  std::string death_reason_;
};

}  // namespace hearth::guest
