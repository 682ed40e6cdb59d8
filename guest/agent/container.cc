#include "guest/agent/container.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "guest/agent/runtimes.h"

namespace hearth::guest {
namespace {

constexpr int kOwnProcesses = 1;  // of a container: the one that its channel speaks to

}  // namespace

Container::Container(const Services& services, std::uint32_t serial, Runtime runtime, Holder holder, Cgroup cgroup)
    : services_(services),
      serial_(serial),
      holder_(std::move(holder)),
      cgroup_(std::move(cgroup)),
      channel_(GuestRuntimeOf(runtime).make_channel()) {
  create_.runtime = runtime;
}

Container::~Container() = default;

Result<void> Container::Check(const Create& create) {
  if (create.memory_mib < kMinMemoryMib || create.memory_mib > kMaxMemoryMib)
    return Fail(Code::kInvalid, "memory_mib out of range");
  if (create.environment.size() > kMaxEnvironmentEntries)
    return Fail(Code::kExhausted, "too many environment variables");
  return {};
}

Result<std::unique_ptr<Container>> Container::MakeEmpty(const Services& services, std::uint32_t serial, Runtime runtime,
                                                        const std::string& code_folder) {
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
  const auto at_once =
      container->channel_->Ask(Place{services, container->holder_, container->cgroup_, serial, container->id()});
  if (!at_once) {
    kill(container->holder_.pid, SIGKILL);
    (void)container->cgroup_.Remove();
    return std::unexpected(at_once.error());
  }
  if (*at_once)
    container->state_ = State::kEmpty;
  else
    container->wake_at_us_ = MonotonicMicros() + kStartTimeoutMicros;
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
    if (auto furnished =
            Furnish(holder_, services_.home, code_folder, memory_bytes, MakeIdentity(services_.secret, number));
        !furnished)
      return furnished;
    return TellFunction();
  }();
  if (!filled) {
    Die(filled.error().message, out);
    return filled;
  }
  if (state_ == State::kEmpty) Prepared(out);
  return {};
}

Result<void> Container::TellFunction() {
  const std::string version = std::to_string(create_.version), memory = std::to_string(create_.memory_mib);
  return channel_->Fill({create_.handler, create_.function, version, memory, Environment(version, memory)});
}

void Container::Prepared(std::vector<Message>& out) {
  wake_at_us_.reset();
  state_ = filled_ ? State::kIdle : State::kEmpty;
  if (filled_) out.emplace_back(Created{});
}

// What hearth says comes after what the function's owner says, and that after what every container has.
std::vector<Variable> Container::Environment(const std::string& version, const std::string& memory) const {
  const Variable first[] = {{"HOME", "/tmp"},
                            {"LANG", "C.UTF-8"},
                            {"PATH", "/usr/local/bin:/usr/bin:/bin"},
                            {"PWD", "/code"},
                            {"TMPDIR", "/tmp"}};
  const Variable last[] = {{"HEARTH_FUNCTION", create_.function},
                           {"HEARTH_FUNCTION_VERSION", version},
                           {"HEARTH_MEMORY_MIB", memory},
                           {"HEARTH_RUNTIME", RuntimeName(create_.runtime)}};
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

void Container::AddPolls(std::vector<pollfd>& fds, std::vector<Channel::Source>& sources) const {
  channel_->AddPolls(fds, sources);
}

void Container::Readable(Channel::Source source, std::vector<Message>& out) {
  while (state_ != State::kDying && state_ != State::kGone) {
    auto heard = channel_->Read(source);
    switch (heard.kind) {
      case Channel::Heard::Kind::kNothing: return;
      case Channel::Heard::Kind::kPrepared: Prepared(out); break;
      case Channel::Heard::Kind::kAnswer: Finish(std::move(heard.answer), out); break;
      // That is user code's own failure and not the machine's; the container goes with it.
      case Channel::Heard::Kind::kBroken:
        channel_->Hangup();
        cgroup_.Kill();
        Finish(std::move(heard.answer), out);
        break;
      case Channel::Heard::Kind::kTooLarge:
        attempt_->killed = true;
        cgroup_.Kill();
        break;
      case Channel::Heard::Kind::kForbidden: Die("its runtime sent what it must not", out); break;
    }
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
  attempt_.emplace(std::move(run), received_us);
  if (auto ordered = channel_->Order(attempt_->run, deadline_ms); !ordered) Finish(std::move(ordered.error()), out);
}

void Container::Prepare() {
  if (state_ == State::kIdle) channel_->Prepare();
}

void Container::Finish(Answer answer, std::vector<Message>& out) {
  channel_->DrainLog();
  // Only a failed attempt can have met the limit, and no container outlives that: any kill counted is this attempt's.
  if (answer.status == Status::kError && cgroup_.OomKills() > 0) {
    answer.status = Status::kOom;
    answer.type = "out_of_memory";
    answer.message = "killed for using more than " + std::to_string(create_.memory_mib) + " MiB";
  }
  const std::int64_t memory_peak_bytes = cgroup_.MemoryPeakBytes();
  const bool killed = answer.status == Status::kOom || answer.status == Status::kTimeout || attempt_->killed;
  outcome_ = {killed, memory_peak_bytes};

  const std::int64_t now = MonotonicMicros();
  const std::int64_t started_us = std::clamp(answer.started_us, attempt_->received_us, now);  // user code may lie
  const std::int64_t ended_us = std::clamp(answer.ended_us, started_us, now);
  Ended ended;
  ended.id = attempt_->run.id;
  ended.attempt = attempt_->run.attempt;
  ended.status = answer.status;
  ended.error_type = std::move(answer.type);
  ended.error_message = std::move(answer.message);
  ended.output = std::move(answer.output);
  ended.log_bytes = channel_->log().total_bytes();
  ended.log_tail = channel_->log().Take();
  ended.start_us = started_us - attempt_->received_us;
  ended.run_us = ended_us - started_us;
  ended.memory_peak_bytes = memory_peak_bytes;
  ended.total_us = MonotonicMicros() - attempt_->received_us;
  Bound(ended);
  out.emplace_back(std::move(ended));
  attempt_.reset();
  wake_at_us_.reset();
  channel_->RunEnded();
  state_ = State::kChecking;
}

void Container::CheckAfterRun(std::vector<Message>& out) {
  if (state_ != State::kChecking) return;
  std::string unfit = WhyUnfit();
  const std::int64_t cpu_us = cgroup_.CpuMicros();
  out.emplace_back(Checked{cpu_us - std::exchange(cpu_seen_us_, cpu_us), unfit.empty()});
  if (unfit.empty())
    state_ = State::kIdle;
  else
    Die(std::move(unfit), out);
}

// Nothing is left over but the runtime's own process, and memory came back. Empty: fit.
std::string Container::WhyUnfit() const {
  if (!cgroup_.HoldsProcesses(kOwnProcesses)) return "processes were left behind";
  if (!channel_->open()) return "its process ended";
  if (cgroup_.HoldsMoreThan((std::int64_t{create_.memory_mib} << 20) / 8 * 7, outcome_.memory_peak_bytes))
    return "memory was not given back";
  if (outcome_.killed) return "it was killed";
  return {};
}

void Container::ProcessExited(int wait_status, std::vector<Message>& out) {
  channel_->ForgetPid();
  if (state_ == State::kDying) {
    TryReap(out);
    return;
  }
  if (channel_->open()) Readable(Channel::Source::kRuntime, out);  // an answer may have come just before
  channel_->Hangup();
  if (state_ == State::kDying) return;
  if (attempt_) return Finish(channel_->Exited(wait_status), out);
  channel_->DrainLog();
  if (const std::string fault = channel_->StartFault(); !fault.empty())
    Die("its process did not start: " + fault, out);
  else if (state_ == State::kStarting)
    Die("its runtime did not start: " + channel_->log().Take(), out);
  else
    Die("its process ended: " + DescribeExit(wait_status).message, out);
}

void Container::Tick(std::int64_t now_us, std::vector<Message>& out) {
  if (!wake_at_us_ || now_us < *wake_at_us_) return;
  wake_at_us_.reset();
  switch (state_) {
    case State::kStarting: Die("its runtime did not start in time", out); break;
    case State::kDying: TryReap(out); break;
    case State::kRunning: {
      Answer answer;
      answer.status = Status::kTimeout;
      answer.type = "timeout";
      answer.message = "killed after " + std::to_string(attempt_->run.timeout_ms) + " ms";
      answer.started_us = channel_->started_us();
      answer.ended_us = now_us;
      cgroup_.Kill();
      Finish(std::move(answer), out);
      break;
    }
    case State::kEmpty:
    case State::kIdle:
    case State::kChecking:
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
  channel_->Close();
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
