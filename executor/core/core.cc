// The core's entry: one event in, its consequences out.
#include "executor/core/core.h"

namespace hearth::executor {

Core::Core(Settings settings) : context_(std::move(settings)) {}

void Core::Step(Event event, Time now, std::vector<Effect>& effects) {
  context_.Begin(now, effects);
  std::visit([this](auto& what) { On(what); }, event);
  if (context_.TakeAskedToSchedule()) {
    const Starved starved = scheduler_.Schedule();
    machines_.Unclaim();
    pools_.Refill(starved);
  }
  if (context_.draining() && !drained_ && attempts_.held() == 0) {
    drained_ = true;
    SendHeartbeats();  // nobody has to wait for its lease once it is gone
    context_.Emit(DrainFinished{});
  }
}

void Core::On(const Tick&) {
  if (dispatchers_.TakeHeartbeatDue()) SendHeartbeats();
  DropOrphans();
  attempts_.ExpireWaiting();
  attempts_.PublishAgain();
  PingAgents();
  RunDue();
  ReportSlots();
  context_.AskToSchedule();  // back-offs and targets move with time
}

// Nothing is started from now on: those that wait would wait for ever. They go back, to be placed elsewhere.
void Core::On(const DrainRequested&) {
  context_.Drain();
  std::vector<Attempt*> waiting;
  for (const auto& [order, attempt] : attempts_.waiting()) waiting.push_back(attempt);
  for (Attempt* attempt : waiting) attempts_.Refuse(*attempt, link::NackReason::kDraining);
}

// Idle containers of retired versions go at once: their room is worth more than their warmth.
void Core::On(const FunctionUpdated& event) {
  registry_.Update(event.function);
  for (const auto number : machines_.index().AssignedTo(event.function->user)) {
    Machine& machine = machines_.Get(number);
    std::vector<std::uint32_t> retired;
    for (const auto& [container_number, container] : machine.containers()) {
      const bool is_idle = container.state() == ContainerState::kIdle;
      if (is_idle && registry_.IsRetired(container.function())) retired.push_back(container_number);
    }
    for (const auto each : retired) machines_.Remove(machine, machine.Get(each), "retired");
  }
}

void Core::On(const ArchiveSent& event) {
  Machine* machine = machines_.Find(event.machine);
  if (machine != nullptr) scheduler_.Create(*machine, codes_.Sent(*machine, event.hash));
}

void Core::On(const CodeLoaded& event) {
  const UserCode code{event.user, event.hash};
  if (event.error.empty() && event.bytes != nullptr) return codes_.Loaded(code, event.bytes);
  for (const auto& key : codes_.LoadFailed(code)) {
    TakeContainer(attempts_.Get(key), "no code");
    attempts_.Fail(key, "code_unavailable: " + event.error);
  }
}

void Core::TakeContainer(Attempt& attempt, const std::string& reason) {
  if (!attempt.has_container()) return;
  Machine& machine = machines_.Get(attempt.machine());
  machines_.Remove(machine, machine.Get(attempt.container()), reason);
}

void Core::LetGo(Attempt& attempt, const std::string& reason) {
  TakeContainer(attempt, reason);
  attempts_.Drop(attempt);
  context_.AskToSchedule();
}

Gauges Core::ReadGauges() const {
  Gauges gauges;
  gauges.held = attempts_.held();
  gauges.credit = context_.settings().credit;
  gauges.waiting = static_cast<std::int64_t>(attempts_.waiting().size());
  gauges.waiting_limit = context_.settings().waiting;
  for (const auto& [key, attempt] : attempts_.all()) {
    if (attempt.phase() == AttemptPhase::kRunning) ++gauges.running;
    if (attempt.phase() == AttemptPhase::kPublishing) ++gauges.publishing;
  }
  for (const auto& [number, machine] : machines_.all()) {
    ++gauges.machines;
    if (machine.state() == MachineState::kAssigned) ++gauges.assigned;
    if (machine.state() == MachineState::kCreating) ++gauges.starting;
    for (const auto& [container_number, container] : machine.containers()) {
      if (container.state() == ContainerState::kGone) continue;
      ++gauges.containers;
      if (container.state() == ContainerState::kIdle) ++gauges.idle_containers;
    }
  }
  gauges.pools = pools_.Status();
  gauges.memory_short = pools_.memory_short();
  gauges.cpu_short = pools_.cpu_short();
  gauges.indexed = static_cast<std::int64_t>(machines_.index().size() + machines_.changes() + attempts_.indexed() +
                                             codes_.waiting());
  gauges.done_ring = static_cast<std::int64_t>(attempts_.ends());
  return gauges;
}

}  // namespace hearth::executor
