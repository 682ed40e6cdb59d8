// What agents say. Nothing of it is believed that does not fit what was asked; who lies, or talks for nothing, loses
// the machine.
#include "common/base/text.h"
#include "executor/core/core_state.h"

namespace hearth::executor {

void Core::State::On(const GuestMessage& event) {
  Instance* instance = Find(event.instance);
  if (instance == nullptr) return;
  if (instance->state != InstanceState::kWarm && instance->state != InstanceState::kAssigned) return;
  OnGuest(*instance, event.frame.stream, event.frame.message);
}

// Frames may cross what made them pointless. A few are nothing; a stream of them is an agent that floods.
void Core::State::Unasked(Instance& instance) {
  if (++instance.unasked > kMaxUnaskedFrames) Condemn(instance, "the agent floods");
}

void Core::State::OnGuest(Instance& instance, std::uint32_t stream, const guest::Message& message) {
  if (const auto* pong = std::get_if<guest::Pong>(&message)) {
    if (pong->sequence != instance.ping_sequence || instance.pings_missed == 0) return Unasked(instance);
    instance.pings_missed = 0;
    return;
  }
  if (instance.state != InstanceState::kAssigned) return Condemn(instance, "the agent spoke before it was configured");
  if (std::holds_alternative<guest::Configured>(message)) return Unasked(instance);
  if (const auto* stored = std::get_if<guest::CodeStored>(&message)) {
    const bool coming = instance.sending.contains(stored->hash);
    if (!coming && !instance.codes.contains(stored->hash)) return Unasked(instance);
    if (stored->error.empty()) return;
    instance.codes.erase(stored->hash);  // Created tells those who wait for it
    if (coming) instance.sending.erase(stored->hash);
    return CreateAwaiting(instance, CodeHash(stored->hash));
  }
  const auto found = instance.containers.find(stream);
  Container* container = found == instance.containers.end() ? nullptr : &found->second;
  if (const auto* ended = std::get_if<guest::Ended>(&message)) return OnEnded(instance, stream, *ended);
  if (const auto* created = std::get_if<guest::Created>(&message)) {
    if (container == nullptr) return Condemn(instance, "created what nobody asked for");
    return OnCreated(instance, *container, *created);
  }
  if (const auto* gone = std::get_if<guest::ContainerGone>(&message)) {
    if (container == nullptr) return Unasked(instance);
    return OnGone(instance, *container, CutText(gone->reason, kMaxErrorMessageBytes));
  }
  Condemn(instance, "the agent sent what only an executor sends");
}

void Core::State::OnCreated(Instance& instance, Container& container, const guest::Created& created) {
  if (container.state == ContainerState::kGone) return Unasked(instance);  // crossed a Remove
  if (container.state != ContainerState::kCreating || !container.create_sent) return Condemn(instance, "created twice");
  SetDue(instance, container, 0);
  const auto promised = std::exchange(container.attempt, std::nullopt);
  if (!created.error.empty()) {
    Move(instance, container, ContainerState::kGone, CutText(created.error, kMaxErrorMessageBytes));
    instance.freeing_mib += container.memory_mib;
    FreeContainer(instance, container.number);
    if (promised) FailAttempt(*promised, "container: " + created.error);
    return;
  }
  if (!promised) return TurnIdle(instance, container);
  Move(instance, container, ContainerState::kIdle, "created");
  Run(*promised, attempts.at(*promised), instance, container);
}

void Core::State::OnGone(Instance& instance, Container& container, const std::string& reason) {
  const auto lost = std::exchange(container.attempt, std::nullopt);
  if (container.state != ContainerState::kGone) {
    Move(instance, container, ContainerState::kGone, reason);
    instance.freeing_mib += container.memory_mib;
  }
  FreeContainer(instance, container.number);
  if (lost) FailAttempt(*lost, "container: " + reason);
}

}  // namespace hearth::executor
