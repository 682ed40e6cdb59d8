// Machines: the containers in them, and what dispatchers are told of both.
#include <algorithm>
#include <cstdlib>

#include "executor/core/machines.h"

namespace hearth::executor {
namespace {

link::Slot SlotOf(const Machine& machine, const Container* container) {
  link::Slot slot;
  slot.user = machine.user();
  slot.machine = machine.id();
  slot.since_ms = machine.changed_ms();
  const bool gone = machine.state() != MachineState::kAssigned;
  if (container == nullptr) {
    slot.state = gone ? link::SlotState::kGone : link::SlotState::kIdle;
    slot.memory_mib = machine.free_mib();
    return slot;
  }
  slot.since_ms = container->changed_ms();
  slot.container = IdOf(machine, container->number());
  slot.function = std::get<1>(container->function());
  slot.version = std::get<2>(container->function());
  slot.memory_mib = container->memory_mib();
  switch (container->state()) {
    case ContainerState::kCreating: slot.state = link::SlotState::kCreating; break;
    case ContainerState::kIdle: slot.state = link::SlotState::kIdle; break;
    case ContainerState::kBusy:
    case ContainerState::kChecking: slot.state = link::SlotState::kBusy; break;  // it takes nothing yet
    case ContainerState::kGone: slot.state = link::SlotState::kGone; break;
  }
  if (gone) slot.state = link::SlotState::kGone;
  return slot;
}

// How long a container of the function may be idle: as the function says, else as its user's settings say, else as the
// executor's do.
std::int64_t IdleLimitUs(const Settings& settings, const Function& function) {
  if (function.container_idle_s > 0) return function.container_idle_s * kMicrosPerSecond;
  const auto of_user_ms = settings.LimitsOf(function.user).container_idle_ms;
  return (of_user_ms > 0 ? of_user_ms : settings.container_idle_ms) * kMicrosPerMilli;
}

}  // namespace

Container& Machines::AddContainer(Machine& machine, const Function& function, const AttemptKey& attempt) {
  if (machine.state_ != MachineState::kAssigned || machine.user_ != function.user) std::abort();
  Container& container = machine.containers_[machine.next_container_];
  container.number_ = machine.next_container_++;
  container.function_ = VersionOf(function);
  container.memory_mib_ = function.memory_mib;
  container.attempt_ = attempt;
  container.idle_limit_us_ = IdleLimitUs(context_.settings(), function);
  machine.free_mib_ -= function.memory_mib;
  ++machine.not_idle_;
  SetDue(machine, 0);
  UpdateQuiet(machine);
  NoteChange(machine);
  NoteChange(machine, container);
  return container;
}

void Machines::SendCreate(Machine& machine, Container& container, const Function& function) {
  container.create_sent_ = true;
  SetDue(machine, container, context_.After(context_.settings().container_timeout_ms));
  context_.Emit(SendToGuest{machine.id_,
                            {container.number_, guest::Create{function.code, FunctionKey(function.user, function.name),
                                                              function.version, function.runtime, function.handler,
                                                              function.memory_mib, function.environment}}});
}

void Machines::TurnIdle(Machine& machine, Container& container, const std::string& reason) {
  if (container.attempt_) std::abort();
  Move(machine, container, ContainerState::kIdle, reason);
  container.idle_since_us_ = context_.now_us();
  SetDue(machine, container, context_.now_us() + container.idle_limit_us_);
}

void Machines::Occupy(Machine& machine, Container& container, const AttemptKey& attempt, std::int64_t limit_ms) {
  Move(machine, container, ContainerState::kBusy, "leased");
  container.attempt_ = attempt;
  SetDue(machine, container, context_.After(limit_ms));
}

void Machines::AwaitCheck(Machine& machine, Container& container, Usage usage) {
  container.attempt_.reset();
  container.usage_ = std::move(usage);
  Move(machine, container, ContainerState::kChecking, "ended");
  SetDue(machine, container, context_.After(context_.settings().container_timeout_ms));
}

void Machines::Remove(Machine& machine, Container& container, const std::string& reason) {
  if (container.state_ == ContainerState::kGone) return;
  if (!container.create_sent_) return Forget(machine, container, reason);
  AwaitGone(machine, container, reason);
  context_.Emit(SendToGuest{machine.id_, {container.number_, guest::Remove{}}});
}

void Machines::AwaitGone(Machine& machine, Container& container, const std::string& reason) {
  container.attempt_.reset();
  Move(machine, container, ContainerState::kGone, reason);
  machine.freeing_mib_ += container.memory_mib_;
  SetDue(machine, container, context_.After(context_.settings().container_timeout_ms));
}

void Machines::Forget(Machine& machine, Container& container, const std::string& reason) {
  container.attempt_.reset();
  if (container.state_ == ContainerState::kGone) {
    machine.freeing_mib_ -= container.memory_mib_;
  } else {
    Move(machine, container, ContainerState::kGone, reason);
  }
  FreeContainer(machine, container);
}

void Machines::FreeContainer(Machine& machine, Container& container) {
  SetDue(machine, container, 0);
  machine.free_mib_ += container.memory_mib_;
  --machine.not_idle_;
  machine.containers_.erase(container.number_);
  UpdateQuiet(machine);
  if (machine.state_ == MachineState::kAssigned) {
    if (machine.containers_.empty()) {
      const Settings& settings = context_.settings();
      const auto of_user_ms = settings.LimitsOf(machine.user_).machine_idle_ms;
      machine.since_us_ = context_.now_us();
      SetDue(machine, context_.After(of_user_ms > 0 ? of_user_ms : settings.machine_idle_ms));
    }
    NoteChange(machine);
  }
  context_.AskToSchedule();
}

void Machines::Move(Machine& machine, Container& container, ContainerState to, const std::string& reason) {
  if (!CanMove(container.state_, to)) std::abort();  // a fault of ours: states.cc has all moves
  if (container.state_ == ContainerState::kIdle) {
    index_.Leave(container);
    ++machine.not_idle_;
  }
  if (to == ContainerState::kIdle) {
    container.idle_order_ = next_idle_++;
    index_.Enter(machine, container);
    --machine.not_idle_;
  }
  if (container.state_ == ContainerState::kChecking) {
    index_.LeaveCheck(container);
    context_.Emit(PublishUsage{std::move(container.usage_)});
  }
  if (to == ContainerState::kChecking) index_.EnterCheck(container);
  if (context_.settings().detailed_traces) {
    Trace trace;
    trace.kind = Trace::Kind::kContainerMoved;
    trace.user = machine.user_;
    trace.function = std::get<1>(container.function_);
    trace.machine = machine.id_;
    trace.container = IdOf(machine, container.number_);
    trace.from = StateName(container.state_);
    trace.to = StateName(to);
    trace.reason = reason;
    context_.Emit(std::move(trace));
  } else {
    context_.Emit(Tally{Trace::Kind::kContainerMoved});
  }
  container.state_ = to;
  UpdateQuiet(machine);
  NoteChange(machine, container);
}

std::int64_t Machines::ChangeMs() {
  last_change_ms_ = std::max(last_change_ms_, context_.now().wall_us / kMicrosPerMilli);
  return last_change_ms_;
}

void Machines::NoteChange(Machine& machine) {
  machine.changed_ms_ = ChangeMs();
  auto& change = changes_[{machine.number_, 0}];
  if (machine.state_ != MachineState::kAssigned) change = SlotOf(machine, nullptr);
}

void Machines::NoteChange(Machine& machine, Container& container) {
  container.changed_ms_ = ChangeMs();
  auto& change = changes_[{machine.number_, container.number_}];
  if (container.state_ == ContainerState::kGone) change = SlotOf(machine, &container);
}

std::vector<link::Slot> Machines::Slots() const {
  std::vector<link::Slot> slots;
  for (const auto& [number, machine] : machines_) {
    if (machine.state_ != MachineState::kAssigned) continue;
    slots.push_back(SlotOf(machine, nullptr));
    for (const auto& [container_number, container] : machine.containers_) {
      if (container.state_ != ContainerState::kGone) slots.push_back(SlotOf(machine, &container));
    }
  }
  return slots;
}

std::vector<link::Slot> Machines::TakeChanges() {
  std::vector<link::Slot> slots;
  slots.reserve(changes_.size());
  for (auto& [place, gone] : changes_) {
    if (gone) {
      slots.push_back(std::move(*gone));
      continue;
    }
    const Machine& machine = machines_.at(place.machine);
    slots.push_back(SlotOf(machine, place.container == 0 ? nullptr : &machine.containers_.at(place.container)));
  }
  changes_.clear();
  return slots;
}

}  // namespace hearth::executor
