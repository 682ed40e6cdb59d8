#include "guest/agent/container.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "guest/agent/answer.h"

namespace hearth::guest {
namespace {

constexpr int kOwnProcesses = 1;                  // of a container: the interpreter, or the launcher
constexpr std::size_t kMaxDrainBytes = 1U << 20;  // of a log pipe at once: a flood must not hold the loop

// Variables that differ from run to run, in the order in which they are sent.
constexpr std::string_view kOfTheInvocation[] = {"HEARTH_INVOCATION_ID", "HEARTH_ATTEMPT", "HEARTH_DEADLINE_MS",
                                                 "HEARTH_CONTENT_TYPE", "TRACEPARENT"};

struct ExitDescription {
  std::string type, message;
};

ExitDescription DescribeExit(int wait_status) {
  if (WIFSIGNALED(wait_status)) return {"signal", "killed by signal " + std::to_string(WTERMSIG(wait_status))};
  return {"exit", "exit code " + std::to_string(WEXITSTATUS(wait_status))};
}

}  // namespace

Container::Container(const Services& services, std::uint32_t serial, Runtime runtime, Holder holder, Cgroup cgroup)
    : services_(services), serial_(serial), holder_(std::move(holder)), cgroup_(std::move(cgroup)) {
  create_.runtime = runtime;
}

Container::~Container() {
  if (launch_ != nullptr) munmap(launch_, sizeof(Launch));
}

Result<void> Container::Check(const Create& create) {
  if (create.memory_mib < kMinMemoryMib || create.memory_mib > kMaxMemoryMib)
    return Fail(Code::kInvalid, "memory_mib out of range");
  if (create.environment.size() > kMaxEnvironmentEntries)
    return Fail(Code::kExhausted, "too many environment variables");
  return {};
}

Result<std::unique_ptr<Container>> Container::MakeEmpty(const Services& services, std::uint32_t serial, Runtime runtime,
                                                        const std::string& code_folder) {
  if (runtime == Runtime::kPython3 && services.zygote == nullptr)
    return Fail(Code::kUnavailable, "python3 is not available");
  auto cgroup =
      Cgroup::Make(services.cgroup_parent, "c" + std::to_string(serial), kEmptyMemoryBytes, kMaxContainerPids);
  if (!cgroup) return std::unexpected(cgroup.error());
  auto holder = StartHolder(code_folder, "/machine-id-" + std::to_string(serial));
  if (!holder) {
    (void)cgroup->Remove();
    return std::unexpected(holder.error());
  }
  std::unique_ptr<Container> container(
      new Container(services, serial, runtime, std::move(*holder), std::move(*cgroup)));
  auto started = runtime == Runtime::kPython3 ? container->StartPython() : container->StartNative();
  if (!started) {
    kill(container->holder_.pid, SIGKILL);
    (void)container->cgroup_.Remove();
    return std::unexpected(started.error());
  }
  return container;
}

Result<void> Container::Fill(std::uint32_t number, Create create, const std::string& code_folder,
                             std::vector<Message>& out) {
  const auto filled = [&]() -> Result<void> {
    if (filled_ || (state_ != State::kStarting && state_ != State::kEmpty))
      return Fail(Code::kInternal, "the container is not empty");
    filled_ = true;
    first_run_by_us_ = MonotonicMicros() + kFirstRunMicros;
    create_ = std::move(create);
    const std::int64_t memory_bytes = std::int64_t{create_.memory_mib} << 20;
    if (memory_bytes != kEmptyMemoryBytes) {
      if (auto bounded = cgroup_.BoundMemory(memory_bytes); !bounded) return bounded;
    }
    return Furnish(holder_, services_.home, code_folder, memory_bytes, MakeIdentity(services_.secret, number));
  }();
  if (!filled) {
    Die(filled.error().message, out);
    return filled;
  }
  const std::string version = std::to_string(create_.version), memory = std::to_string(create_.memory_mib);
  const auto environment = Environment(version, memory);
  if (create_.runtime == Runtime::kPython3) {
    std::vector<std::string_view> fields = {create_.handler, create_.function, version, memory};
    for (const auto& [name, value] : environment) fields.insert(fields.end(), {name, value});
    const auto told = EncodeFields(fields);
    if (!told) {
      Die(told.error().message, out);
      return std::unexpected(told.error());
    }
    to_runtime_ += *told;
    FlushRuntime(out);
  } else {
    order_.push_back("/code/" + create_.handler);
    for (const auto& [name, value] : environment) order_.push_back(std::string(name).append("=").append(value));
  }
  if (state_ == State::kEmpty) Prepared(out);
  return {};
}

void Container::Prepared(std::vector<Message>& out) {
  wake_at_us_.reset();
  state_ = filled_ ? State::kIdle : State::kEmpty;
  if (filled_) out.emplace_back(Created{});
}

// What hearth says comes after what the function's owner says, and that after what every container has.
std::vector<Container::Variable> Container::Environment(const std::string& version, const std::string& memory) const {
  const Variable first[] = {{"HOME", "/tmp"},
                            {"LANG", "C.UTF-8"},
                            {"PATH", "/usr/local/bin:/usr/bin:/bin"},
                            {"PWD", "/code"},
                            {"TMPDIR", "/tmp"}};
  const Variable last[] = {{"HEARTH_FUNCTION", create_.function},
                           {"HEARTH_FUNCTION_VERSION", version},
                           {"HEARTH_MEMORY_MIB", memory},
                           {"HEARTH_RUNTIME", create_.runtime == Runtime::kPython3 ? kPython3Name : kNativeName}};
  std::vector<Variable> variables(std::begin(first), std::end(first));
  const auto set = [&variables](const Variable& variable) {
    const auto found = std::ranges::find(variables, variable.first, &Variable::first);
    if (found == variables.end())
      variables.push_back(variable);
    else
      found->second = variable.second;
  };
  for (const auto& [name, value] : create_.environment) {
    if (std::ranges::find(kOfTheInvocation, std::string_view(name)) == std::end(kOfTheInvocation)) set({name, value});
  }
  std::ranges::for_each(last, set);
  return variables;
}

Result<void> Container::StartPython() {
  auto run = MakeSocketPair(SOCK_STREAM);
  if (!run) return std::unexpected(run.error());
  auto log = MakePipe();
  if (!log) return std::unexpected(log.error());
  const std::string serial = std::to_string(serial_), id_text = std::to_string(id());
  auto asked = services_.zygote->Fork({serial, id_text},
                                      {holder_.pidfd.get(), cgroup_.procs_fd(), run->theirs.get(), log->theirs.get()});
  if (!asked) return asked;
  runtime_ = std::move(run->ours);
  log_ = std::move(log->ours);
  wake_at_us_ = MonotonicMicros() + kStartTimeoutMicros;
  return {};
}

Result<void> Container::StartNative() {
  void* page = mmap(nullptr, sizeof(Launch), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) std::abort();  // one page
  launch_ = static_cast<Launch*>(page);
  auto orders = MakeSocketPair(SOCK_SEQPACKET);
  if (!orders) return std::unexpected(orders.error());
  runtime_ = std::move(orders->ours);
  if (auto made = MakeStandby(); !made) return made;  // it waits in the socket for the launcher
  auto pid = StartLauncher(holder_, cgroup_.procs_fd(), id(), services_.seccomp_program, orders->theirs.get(), launch_);
  if (!pid) return std::unexpected(pid.error());
  launcher_pid_ = *pid;
  state_ = State::kEmpty;
  return {};
}

void Container::AddPolls(std::vector<pollfd>& fds, std::vector<Source>& sources) const {
  const auto add = [&](const Fd& fd, Source source, int events) {
    if (!fd) return;
    fds.push_back({fd.get(), static_cast<short>(events), 0});
    sources.push_back(source);
  };
  add(runtime_, Source::kRuntime, to_runtime_.empty() ? POLLIN : POLLIN | POLLOUT);
  add(log_, Source::kLog, POLLIN);
  add(output_, Source::kOutput, POLLIN);
}

void Container::Readable(Source source, std::vector<Message>& out) {
  switch (source) {
    case Source::kRuntime:
      FlushRuntime(out);
      if (runtime_) create_.runtime == Runtime::kPython3 ? RuntimeMessages(out) : LauncherMessages(out);
      break;
    case Source::kLog: DrainLog(); break;
    case Source::kOutput: ReadOutput(); break;
  }
}

void Container::Start(Run run, std::int64_t received_us, std::vector<Message>& out) {
  if (state_ != State::kIdle) {
    Ended refused;
    refused.id = run.id;
    refused.attempt = run.attempt;
    refused.status = Status::kError;
    refused.error_type = "container_not_idle";
    out.emplace_back(std::move(refused));
    return;
  }
  state_ = State::kRunning;
  first_run_by_us_ = 0;
  const std::int64_t timeout_us = std::int64_t{std::clamp(run.timeout_ms, 1, kMaxTimeoutMs)} * 1000;
  wake_at_us_ = received_us + timeout_us;
  const std::int64_t deadline_ms = (WallMicros() + timeout_us) / 1000;
  attempt_.emplace(std::move(run), received_us, std::string(), false);
  if (create_.runtime == Runtime::kPython3) {
    const Run& asked = attempt_->run;
    // One field of lines, since an interpreter cuts those fastest; only the last of them may be any text.
    const bool one_line = asked.traceparent.find('\n') == std::string::npos;
    const std::string head = asked.id.str() + '\n' + std::to_string(asked.attempt) + '\n' +
                             std::to_string(deadline_ms) + '\n' + (one_line ? asked.traceparent : std::string()) +
                             '\n' + asked.content_type;
    const auto order = EncodeFields({head, asked.input});
    if (!order) return Finish(Status::kError, "input_too_large", order.error().message, {}, 0, 0, out);
    to_runtime_ += *order;
    FlushRuntime(out);
    return;
  }
  if (auto started = OrderNative(); !started) {
    const std::int64_t now = MonotonicMicros();
    runtime_.Reset();  // a program may wait for an order that will never come: the container goes
    Finish(Status::kError, "exec", started.error().message, {}, now, now, out);
  }
}

// Only while no user code is there: the launcher is the container's one process, and the program's will be the other.
Result<void> Container::MakeStandby() {
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

void Container::Prepare() {
  if (create_.runtime != Runtime::kNative || state_ != State::kIdle || standby_) return;
  (void)MakeStandby();  // where it fails, the next Start tries again and says why
}

Result<void> Container::OrderNative() {
  if (!standby_) {
    if (auto made = MakeStandby(); !made) return made;
  }
  const Run& run = attempt_->run;
  const std::string deadline_ms = std::to_string(WallMicros() / 1000 + run.timeout_ms);
  const std::string values[] = {run.id.str(), std::to_string(run.attempt), deadline_ms, run.content_type,
                                run.traceparent};
  std::vector<std::string> order = order_;
  for (std::size_t i = 0; i < std::size(values); ++i) {
    order.push_back(std::string(kOfTheInvocation[i]).append("=").append(values[i]));
  }
  Standby standby = std::move(*standby_);
  standby_.reset();
  if (auto filled = FillAndSeal(standby.input, run.input); !filled) return filled;
  output_ = std::move(standby.output);
  log_ = std::move(standby.log);
  return SendOrder(runtime_, order);
}

void Container::FlushRuntime(std::vector<Message>& out) {
  while (!to_runtime_.empty() && runtime_) {
    const ssize_t n = send(runtime_.get(), to_runtime_.data(), to_runtime_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) {
      // The process is dying; its exit status, on its way from the zygote, says how.
      to_runtime_.clear();
      RuntimeMessages(out);
      return;
    }
    to_runtime_.erase(0, static_cast<std::size_t>(n));
  }
}

void Container::RuntimeMessages(std::vector<Message>& out) {
  std::array<char, 65536> block;  // not zeroed: that would cost more than most reads
  for (;;) {
    const ssize_t n = recv(runtime_.get(), block.data(), block.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) break;
    if (n <= 0) {
      runtime_.Reset();
      break;
    }
    const bool more = n == static_cast<ssize_t>(block.size());  // else the socket is empty, or will say so again
    if (state_ != State::kStarting && state_ != State::kRunning) return Die("its runtime sent what it must not", out);
    const auto fed = messages_.Feed({block.data(), static_cast<std::size_t>(n)});
    while (auto fields = messages_.Next()) {
      if (state_ == State::kRunning) {
        TakeAnswer(std::move(*fields), out);
      } else if (state_ == State::kStarting && fields->size() == 1 && fields->front() == "prepared") {
        Prepared(out);
      } else {
        return Die("its runtime sent what it must not", out);
      }
    }
    if (!fed && state_ == State::kRunning) TakeBroken(fed.error(), out);
    if (!fed) return Die("its runtime sent what it must not", out);
    if (state_ == State::kIdle && !messages_.empty()) Die("its runtime sent what it must not", out);
    if (!runtime_ || !more) return;
  }
}

void Container::TakeAnswer(std::vector<std::string> fields, std::vector<Message>& out) {
  auto answer = ParseAnswer(std::move(fields));
  if (!answer) return TakeBroken({Code::kInvalid, "a number of fields that no answer has"}, out);
  Finish(answer->status, std::move(answer->type), std::move(answer->message), std::move(answer->output),
         answer->started_us, answer->ended_us, out);
}

// User code wrote in its runtime's place. That is its own failure and not the machine's; the container goes with it.
void Container::TakeBroken(const Error& error, std::vector<Message>& out) {
  runtime_.Reset();
  cgroup_.Kill();
  Answer answer = BrokenAnswer(error);
  Finish(answer.status, std::move(answer.type), std::move(answer.message), {}, 0, MonotonicMicros(), out);
}

void Container::LauncherMessages(std::vector<Message>& out) {
  int wait_status = 0;
  const ssize_t n = recv(runtime_.get(), &wait_status, sizeof wait_status, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0)
    runtime_.Reset();  // its exit status follows
  else if (state_ == State::kRunning)
    ProgramEnded(wait_status, out);
}

void Container::ReadOutput() {
  std::array<char, 65536> block;  // not zeroed: that would cost more than most reads
  while (output_) {
    const ssize_t n = read(output_.get(), block.data(), block.size());
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      output_.Reset();
      return;
    }
    if (!attempt_) continue;
    if (attempt_->output.size() + static_cast<std::size_t>(n) > kMaxOutputBytes) {
      attempt_->too_large = true;
      output_.Reset();
      cgroup_.Kill();
      return;
    }
    attempt_->output.append(block.data(), static_cast<std::size_t>(n));
  }
}

void Container::DrainLog() {
  std::array<char, 65536> block;  // not zeroed: that would cost more than most reads
  for (std::size_t drained = 0; log_ && drained < kMaxDrainBytes;) {
    const ssize_t n = read(log_.get(), block.data(), block.size());
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      log_.Reset();
      return;
    }
    log_tail_.Append({block.data(), static_cast<std::size_t>(n)});
    drained += static_cast<std::size_t>(n);
  }
}

void Container::Finish(Status status, std::string type, std::string message, std::string output,
                       std::int64_t started_us, std::int64_t ended_us, std::vector<Message>& out) {
  DrainLog();
  // Only a failed attempt can have met the limit, and no container outlives that: any kill counted is this attempt's.
  if (status == Status::kError && cgroup_.OomKills() > 0) {
    status = Status::kOom;
    type = "out_of_memory";
    message = "killed for using more than " + std::to_string(create_.memory_mib) + " MiB";
  }
  // The check after each run: nothing left over but the runtime's own process, and memory back.
  std::string unfit;
  const std::int64_t memory_peak_bytes = cgroup_.MemoryPeakBytes();
  if (!cgroup_.HoldsProcesses(kOwnProcesses))
    unfit = "processes were left behind";
  else if (!runtime_)
    unfit = "its process ended";
  else if (cgroup_.HoldsMoreThan((std::int64_t{create_.memory_mib} << 20) / 8 * 7, memory_peak_bytes))
    unfit = "memory was not given back";
  else if (status == Status::kOom || status == Status::kTimeout || attempt_->too_large)
    unfit = "it was killed";

  const std::int64_t now = MonotonicMicros();
  started_us = std::clamp(started_us, attempt_->received_us, now);  // a runtime in user code's hands may lie
  ended_us = std::clamp(ended_us, started_us, now);
  Ended ended;
  ended.id = attempt_->run.id;
  ended.attempt = attempt_->run.attempt;
  ended.status = status;
  ended.error_type = std::move(type);
  ended.error_message = std::move(message);
  ended.output = std::move(output);
  ended.log_bytes = log_tail_.total_bytes();
  ended.log_tail = log_tail_.Take();
  ended.start_us = started_us - attempt_->received_us;
  ended.run_us = ended_us - started_us;
  const std::int64_t cpu_us = cgroup_.CpuMicros();
  ended.cpu_us = cpu_us - std::exchange(cpu_seen_us_, cpu_us);
  ended.memory_peak_bytes = memory_peak_bytes;
  ended.reusable = unfit.empty();
  ended.total_us = MonotonicMicros() - attempt_->received_us;
  Bound(ended);
  out.emplace_back(std::move(ended));
  attempt_.reset();
  wake_at_us_.reset();
  output_.Reset();
  if (create_.runtime == Runtime::kNative) log_.Reset();
  if (unfit.empty())
    state_ = State::kIdle;
  else
    Die(std::move(unfit), out);
}

void Container::ProcessExited(int wait_status, std::vector<Message>& out) {
  exit_status_ = wait_status;
  launcher_pid_ = -1;
  if (state_ == State::kDying) {
    TryReap(out);
    return;
  }
  if (runtime_) Readable(Source::kRuntime, out);  // an answer may have come just before
  runtime_.Reset();
  if (state_ == State::kDying) return;
  if (!attempt_) {
    DrainLog();
    if (launch_ != nullptr && launch_->error != 0)
      Die(std::string("its process did not start: ") + launch_->step + ": " + std::strerror(launch_->error), out);
    else if (state_ == State::kStarting)
      Die("its runtime did not start: " + log_tail_.Take(), out);
    else
      Die("its process ended: " + DescribeExit(wait_status).message, out);
    return;
  }
  if (create_.runtime == Runtime::kNative) return ProgramEnded(wait_status, out);  // it went with the launcher
  auto [type, message] = DescribeExit(wait_status);
  Finish(Status::kError, std::move(type), std::move(message), {}, attempt_->received_us, MonotonicMicros(), out);
}

void Container::ProgramEnded(int wait_status, std::vector<Message>& out) {
  const std::int64_t now = MonotonicMicros();
  ReadOutput();
  const std::int64_t started_us = launch_->start_us != 0 ? launch_->start_us : now;
  if (attempt_->too_large) {
    Answer answer = BrokenAnswer({Code::kExhausted, {}});
    Finish(answer.status, std::move(answer.type), std::move(answer.message), {}, started_us, now, out);
  } else if (launch_->error != 0) {
    Finish(Status::kError, "exec",
           std::string(launch_->step) + " " + create_.handler + ": " + std::strerror(launch_->error), {}, now, now,
           out);
  } else if (wait_status != 0) {
    auto [type, message] = DescribeExit(wait_status);
    Finish(Status::kError, std::move(type), std::move(message), {}, started_us, now, out);
  } else {
    Finish(Status::kOk, {}, {}, std::move(attempt_->output), started_us, now, out);
  }
}

void Container::Tick(std::int64_t now_us, std::vector<Message>& out) {
  if (!wake_at_us_ || now_us < *wake_at_us_) return;
  wake_at_us_.reset();
  switch (state_) {
    case State::kStarting: Die("its runtime did not start in time", out); break;
    case State::kDying: TryReap(out); break;
    case State::kRunning: {
      const std::int64_t started_us =
          launch_ != nullptr && launch_->start_us != 0 ? launch_->start_us : attempt_->received_us;
      const std::string message = "killed after " + std::to_string(attempt_->run.timeout_ms) + " ms";
      cgroup_.Kill();
      Finish(Status::kTimeout, "timeout", message, {}, started_us, now_us, out);
      break;
    }
    case State::kEmpty:
    case State::kIdle:
    case State::kGone: break;
  }
}

void Container::Remove(const std::string& reason, std::vector<Message>& out) {
  Die(reason, out);
}

void Container::Die(std::string reason, std::vector<Message>& out) {
  if (state_ == State::kDying || state_ == State::kGone) return;
  state_ = State::kDying;
  death_reason_ = std::move(reason);
  attempt_.reset();
  runtime_.Reset();
  log_.Reset();
  output_.Reset();
  standby_.reset();
  to_runtime_.clear();
  cgroup_.Kill();
  if (holder_.pid > 0) syscall(SYS_pidfd_send_signal, holder_.pidfd.get(), SIGKILL, nullptr, 0);
  TryReap(out);
}

void Container::HolderExited(std::vector<Message>& out) {
  holder_.pid = -1;
  if (state_ != State::kDying)
    Die("its holder ended", out);
  else
    TryReap(out);
}

void Container::TryReap(std::vector<Message>& out) {
  if (state_ != State::kDying) return;
  if (holder_.pid > 0 || !cgroup_.Remove()) {
    wake_at_us_ = MonotonicMicros() + kReapRetryMicros;
    return;
  }
  wake_at_us_.reset();
  state_ = State::kGone;
  out.emplace_back(ContainerGone{death_reason_});
}

}  // namespace hearth::guest
