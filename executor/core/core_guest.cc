// What agents say. Nothing of it is believed that does not fit what was asked; who lies, or talks for nothing, loses
// the machine.
#include "common/base/text.h"
#include "executor/core/core_state.h"

namespace hearth::executor {

void Core::State::On(const GuestMessage& event) {
  Machine* machine = machines_.Find(event.machine);
  if (machine == nullptr) return;
  if (machine->state() != MachineState::kWarm && machine->state() != MachineState::kAssigned) return;
  OnGuest(*machine, event.frame.stream, event.frame.message);
}

// Frames may cross what made them pointless. A few are nothing; a stream of them is an agent that floods.
void Core::State::Unasked(Machine& machine) {
  if (!machines_.TolerateUnasked(machine)) Condemn(machine, "the agent floods");
}

void Core::State::OnGuest(Machine& machine, std::uint32_t stream, const guest::Message& message) {
  if (const auto* pong = std::get_if<guest::Pong>(&message)) {
    if (!machines_.TakePong(machine, pong->sequence)) Unasked(machine);
    return;
  }
  if (machine.state() != MachineState::kAssigned) return Condemn(machine, "the agent spoke before it was configured");
  if (std::holds_alternative<guest::Configured>(message)) return Unasked(machine);
  if (const auto* stored = std::get_if<guest::CodeStored>(&message)) {
    const CodeHash hash(stored->hash);
    if (!codes_.Knows(machine, hash)) return Unasked(machine);
    if (stored->error.empty()) return;
    return Create(machine, codes_.Lost(machine, hash));
  }
  Container* container = machine.Find(stream);
  if (const auto* ended = std::get_if<guest::Ended>(&message)) return OnEnded(machine, stream, *ended);
  if (const auto* created = std::get_if<guest::Created>(&message)) {
    if (container == nullptr) return Condemn(machine, "created what nobody asked for");
    return OnCreated(machine, *container, *created);
  }
  if (const auto* gone = std::get_if<guest::ContainerGone>(&message)) {
    if (container == nullptr) return Unasked(machine);
    return OnGone(machine, *container, CutText(gone->reason, kMaxErrorMessageBytes));
  }
  Condemn(machine, "the agent sent what only an executor sends");
}

void Core::State::OnCreated(Machine& machine, Container& container, const guest::Created& created) {
  if (container.state() == ContainerState::kGone) return Unasked(machine);  // crossed a Remove
  if (container.state() != ContainerState::kCreating || !container.create_sent()) {
    return Condemn(machine, "created twice");
  }
  const auto promised = machines_.Release(container);
  if (!created.error.empty()) {
    machines_.Forget(machine, container, CutText(created.error, kMaxErrorMessageBytes));
    if (promised) FailAttempt(*promised, "container: " + created.error);
    return;
  }
  machines_.TurnIdle(machine, container, promised ? "created" : "ready");
  if (!promised) return Serve(machine, container);
  Run(*promised, attempts.at(*promised), machine, container);
}

void Core::State::OnGone(Machine& machine, Container& container, const std::string& reason) {
  const auto lost = machines_.Release(container);
  machines_.Forget(machine, container, reason);
  if (lost) FailAttempt(*lost, "container: " + reason);
}

}  // namespace hearth::executor
