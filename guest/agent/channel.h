// The agent's end of the process that runs a container's functions: how it is asked for, told its function and each
// run, and understood. Each kind of runtime has an implementation; runtimes.cc says which runtime has which. A
// container owns one and does not know its kind.
//
// A channel understands what it reads and says what it means. What follows from it (the container goes, an attempt has
// ended) is the container's to decide.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "guest/agent/answer.h"
#include "guest/agent/cgroup.h"
#include "guest/agent/log_tail.h"
#include "guest/agent/sandbox.h"
#include "guest/agent/sys.h"
#include "guest/agent/zygote.h"
#include "schemas/guest.h"

namespace hearth::guest {

// What every container needs from the agent.
struct Services {
  std::string seccomp_program;
  Zygote* zygote = nullptr;  // null: there is no interpreter to fork
  std::string cgroup_parent;
  Home home;
  std::string secret;  // of this machine; what containers take their identity from
};

// Where the process of one container belongs.
struct Place {
  const Services& services;
  const Holder& holder;
  const Cgroup& cgroup;
  std::uint32_t serial;  // of the container
  uid_t id;              // of the process, user and group
};

using Variable = std::pair<std::string_view, std::string_view>;

// The function that a container was filled with, as its process is told of it.
struct Told {
  std::string_view handler, function, version, memory_mib;
  std::vector<Variable> environment;
};

// Variables that differ from run to run. A function's owner cannot set them.
inline constexpr std::string_view kOfTheInvocation[] = {"HEARTH_INVOCATION_ID", "HEARTH_ATTEMPT", "HEARTH_DEADLINE_MS",
                                                        "HEARTH_CONTENT_TYPE", "TRACEPARENT"};

class Channel {
 public:
  // What a descriptor of the channel is for.
  enum class Source : std::uint8_t { kRuntime, kLog, kOutput };
  // What was read.
  struct Heard {
    enum class Kind : std::uint8_t {
      kNothing,    // until more comes
      kPrepared,   // the process waits for its function, all rights given up
      kAnswer,     // the run has ended so
      kBroken,     // user code wrote in its runtime's place: the run has ended so, and its processes have to go
      kTooLarge,   // the output is too large: its processes have to go, and the answer follows their end
      kForbidden,  // the runtime sent what it must not
    };
    Kind kind = Kind::kNothing;
    Answer answer{};
  };

  virtual ~Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Asks for the process. True: it can be filled at once; false: kPrepared follows, within kStartTimeoutMicros.
  virtual Result<bool> Ask(const Place& place) = 0;
  // Tells the process its function, once.
  virtual Result<void> Fill(const Told& told) = 0;
  // Hands a run over. Its end is heard as kAnswer or kBroken, or the process exits. Where it cannot be handed over,
  // nothing ran, and this is the answer.
  virtual std::expected<void, Answer> Order(const Run& run, std::int64_t deadline_ms) = 0;
  // What can be done ahead of the next Order, when the loop has nothing more urgent.
  virtual void Prepare() {}

  // Descriptors to wait for, with what they are.
  virtual void AddPolls(std::vector<pollfd>& fds, std::vector<Source>& sources) const;
  // Reads on. To be called again until it says kNothing.
  virtual Heard Read(Source source) = 0;
  // How the run that was under way ended with its process, which is gone.
  virtual Answer Exited(int wait_status) = 0;
  // The run has ended, whoever ended it.
  virtual void RunEnded() {}
  // Closes everything; the process is on its way out or not wanted.
  virtual void Close();

  // Why the process never came to be; empty: not known to this channel.
  [[nodiscard]] virtual std::string StartFault() const { return {}; }
  // Its process waits for a function. Asked only between Ask and Fill.
  [[nodiscard]] virtual bool waiting() const { return true; }
  // When user code of the run began; 0: not known.
  [[nodiscard]] virtual std::int64_t started_us() const { return 0; }
  // Of a process that is the agent's own child; -1: there is none.
  [[nodiscard]] pid_t pid() const { return pid_; }
  void ForgetPid() { pid_ = -1; }  // it was waited for

  // Whether the process can still be spoken to.
  [[nodiscard]] bool open() const { return static_cast<bool>(runtime_); }
  void Hangup() { runtime_.Reset(); }
  void DrainLog();
  [[nodiscard]] LogTail& log() { return log_tail_; }

 protected:
  Channel() = default;

  Fd runtime_;  // the socket to the process, or to its launcher
  Fd log_;
  pid_t pid_ = -1;

 private:
  LogTail log_tail_;
};

// How a process ended, as an error: "signal" and "killed by signal 9", or "exit" and "exit code 3".
Answer DescribeExit(int wait_status);

// A process forked from the interpreter that runs already (zygote.h). It talks in fields (fields.h), for any number of
// runs.
std::unique_ptr<Channel> MakeFieldsChannel();
// A program executed anew for each run by a launcher that stays (sandbox.h). The payload is its input, its output the
// answer.
std::unique_ptr<Channel> MakeStdioChannel();

}  // namespace hearth::guest
