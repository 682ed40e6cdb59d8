// What agents say. Nothing of it is believed that does not fit what was asked. An agent that lies, or talks for
// nothing, loses the machine.
#include "common/base/text.h"
#include "executor/core/core.h"

namespace hearth::executor {
namespace {

// An attempt of a user's code ends in one of these; all others are hearth's own to say.
bool IsStatusOfARun(Status status) {
  return status == Status::kOk || status == Status::kError || status == Status::kTimeout || status == Status::kOom;
}

// What the run has brought, as the guest says within what the host believes. What it is charged is the host's own.
InvocationResult ResultOf(guest::Ended& ended, const Claims& claims, std::int64_t took_us) {
  InvocationResult result;
  result.status = ended.status;
  result.error_type = CutText(ended.error_type, kMaxIdentifierBytes);
  result.error_message = CutText(ended.error_message, kMaxErrorMessageBytes);
  result.log_truncated = ended.log_bytes > static_cast<std::int64_t>(ended.log_tail.size());
  result.output = std::move(ended.output);
  result.log_tail = std::move(ended.log_tail);
  result.memory_peak_bytes = claims.memory_peak_bytes;
  result.billed_ms = (took_us + kMicrosPerMilli - 1) / kMicrosPerMilli;
  return result;
}

}  // namespace

void Core::On(GuestMessage& event) {
  Machine* machine = machines_.Find(event.machine);
  if (machine == nullptr) return;
  if (machine->state() != MachineState::kWarm && machine->state() != MachineState::kAssigned) return;
  OnGuest(*machine, event.frame.stream, event.frame.message);
}

// Frames may cross what made them pointless. A few are nothing; a stream of them is an agent that floods.
void Core::OnUnasked(Machine& machine) {
  if (!machines_.TolerateUnasked(machine)) Condemn(machine, "the agent floods");
}

void Core::OnGuest(Machine& machine, std::uint32_t stream, guest::Message& message) {
  if (const auto* pong = std::get_if<guest::Pong>(&message)) {
    if (!machines_.TakePong(machine, pong->sequence)) OnUnasked(machine);
    return;
  }
  if (machine.state() != MachineState::kAssigned) return Condemn(machine, "the agent spoke before it was configured");
  if (std::holds_alternative<guest::Configured>(message)) return OnUnasked(machine);
  if (const auto* stored = std::get_if<guest::CodeStored>(&message)) return OnCodeStored(machine, *stored);
  Container* container = machine.Find(stream);
  if (auto* ended = std::get_if<guest::Ended>(&message)) return OnEnded(machine, container, *ended);
  if (const auto* checked = std::get_if<guest::Checked>(&message)) return OnChecked(machine, container, *checked);
  if (const auto* created = std::get_if<guest::Created>(&message)) {
    if (container == nullptr) return Condemn(machine, "created what nobody asked for");
    return OnCreated(machine, *container, *created);
  }
  if (const auto* gone = std::get_if<guest::ContainerGone>(&message)) {
    if (container == nullptr) return OnUnasked(machine);
    return OnGone(machine, *container, CutText(gone->reason, kMaxErrorMessageBytes));
  }
  Condemn(machine, "the agent sent what only an executor sends");
}

// Where the code could not be stored, Created tells so to each attempt that waits for it.
void Core::OnCodeStored(Machine& machine, const guest::CodeStored& stored) {
  const CodeHash hash(stored.hash);
  if (!codes_.Knows(machine, hash)) return OnUnasked(machine);
  if (!stored.error.empty()) scheduler_.Create(machine, codes_.Lost(machine, hash));
}

void Core::OnCreated(Machine& machine, Container& container, const guest::Created& created) {
  if (container.state() == ContainerState::kGone) return OnUnasked(machine);  // crossed a Remove
  if (container.state() != ContainerState::kCreating || !container.create_sent()) {
    return Condemn(machine, "created twice");
  }
  const auto promised = machines_.Release(container);
  if (!created.error.empty()) {
    machines_.Forget(machine, container, CutText(created.error, kMaxErrorMessageBytes));
    if (promised) attempts_.Fail(*promised, "container: " + created.error);
    return;
  }
  machines_.TurnIdle(machine, container, promised ? "created" : "ready");
  if (!promised) return scheduler_.Serve(machine, container);
  Attempt& attempt = attempts_.Get(*promised);
  scheduler_.Run(attempt, machine, container, attempt.path());
}

void Core::OnEnded(Machine& machine, Container* container, guest::Ended& ended) {
  if (container == nullptr || container->state() == ContainerState::kGone) return OnUnasked(machine);
  if (container->state() != ContainerState::kBusy) return Condemn(machine, "ended what did not run");
  Attempt& attempt = attempts_.Get(*container->attempt());
  const link::Exec& exec = attempt.exec();
  if (ended.id != exec.id || ended.attempt != exec.try_number || !IsStatusOfARun(ended.status)) {
    return Condemn(machine, "the agent's answer does not fit the attempt");
  }
  const std::int64_t took_us = context_.now_us() - attempt.run_sent().mono_us;
  const Claims claims = ClaimsOf(ended, took_us, static_cast<std::int64_t>(machine.memory_mib()) << 20);
  attempts_.NoteRun(attempt, claims);
  InvocationResult result = ResultOf(ended, claims, took_us);
  result.machine = machine.id();
  result.container = IdOf(machine, container->number());
  result.acceleration = context_.settings().acceleration;

  Effect trace = TraceOf(context_, Trace::Kind::kEnded, exec, attempt.path(), ended.status, result.error_type,
                         {&machine, container->number()});
  Usage usage{exec.id,
              exec.function->user,
              exec.function->name,
              exec.function->version,
              exec.try_number,
              ended.status,
              attempt.path(),
              exec.times.started_us,
              exec.times.ended_us,
              result.billed_ms,
              exec.function->memory_mib,
              claims.memory_peak_bytes,
              0,
              context_.settings().id,
              machine.id()};

  // The answer goes first: somebody waits for it, and for nothing of what follows.
  if (ended.status == Status::kOk || exec.final_try) {
    attempts_.Publish(attempt, std::move(result));
  } else {
    link::Done done = attempts_.DoneOf(attempt);
    done.outcome = link::Outcome::kFailed;
    done.status = ended.status;
    done.error_type = std::move(result.error_type);
    done.error_message = std::move(result.error_message);
    done.billed_ms = result.billed_ms;
    attempts_.Finish(attempt, std::move(done));
  }
  machines_.AwaitCheck(machine, *container, std::move(usage));
  context_.Emit(std::move(trace));
}

void Core::OnChecked(Machine& machine, Container* container, const guest::Checked& checked) {
  if (container == nullptr || container->state() == ContainerState::kGone) return OnUnasked(machine);
  if (container->state() != ContainerState::kChecking) return Condemn(machine, "checked what had not run");
  machines_.NoteCpu(*container, CpuOf(checked));
  if (!checked.reusable) {
    machines_.AwaitGone(machine, *container, "not reusable");  // ContainerGone follows
    return context_.AskToSchedule();                           // for those that waited for it
  }
  machines_.TurnIdle(machine, *container, "ready");
  scheduler_.Serve(machine, *container);
}

void Core::OnGone(Machine& machine, Container& container, const std::string& reason) {
  const auto lost = machines_.Release(container);
  machines_.Forget(machine, container, reason);
  if (lost) attempts_.Fail(*lost, "container: " + reason);
}

}  // namespace hearth::executor
