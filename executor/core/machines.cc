// Machines: their lives, their health, and what is due when.
#include "executor/core/machines.h"

#include <algorithm>
#include <cstdlib>

#include "executor/core/pool.h"

namespace hearth::executor {

Machines::Machines(Context& context)
    : context_(context), index_(context.settings().profiles.size()), random_(context.settings().seed | 1U) {}

Machine* Machines::Find(const MachineId& id) {
  const auto number = index_.NumberOf(id);
  return number == 0 ? nullptr : &machines_.at(number);
}

std::pair<Machine*, Container*> Machines::FindIdle(const FunctionVersion& function) {
  const auto place = index_.LastIdle(function);
  if (!place) return {nullptr, nullptr};
  Machine& machine = machines_.at(place->machine);
  return {&machine, &machine.Get(place->container)};
}

std::int32_t Machines::FreeMib() const {
  return std::max(0, context_.settings().memory_mib - index_.used_mib());
}

std::vector<Spare> Machines::Spares(std::size_t except, std::int32_t missing_mib) const {
  std::vector<Spare> spares;
  const auto add = [&](const Machine& machine, bool unassigned) {
    const auto since_us = unassigned ? machine.since_us() : machine.quiet_us();
    spares.push_back({machine.number(), machine.memory_mib(), since_us, unassigned, machine.containers().empty()});
    missing_mib -= machine.memory_mib();
  };
  for (std::size_t profile = 0; profile < context_.settings().profiles.size(); ++profile) {
    if (profile == except) continue;
    for (const auto number : index_.Warm(profile)) {
      if (missing_mib <= 0) return spares;
      add(Get(number), true);
    }
  }
  for (const auto& [since_us, number] : index_.quiet()) {
    if (missing_mib <= 0) return spares;
    add(Get(number), false);
  }
  return spares;
}

Machine& Machines::Add(std::size_t profile, const UserId& meant_for, const std::string& image, bool activates,
                       std::int64_t limit_ms) {
  const Settings& settings = context_.settings();
  const auto number = next_machine_++;
  Machine& machine = machines_[number];
  machine.number_ = number;
  machine.id_ = MachineId(settings.id.value + "-" + settings.incarnation.substr(0, 8) + "-" + std::to_string(number));
  machine.profile_ = profile;
  machine.memory_mib_ = settings.profiles[profile].memory_mib;
  machine.free_mib_ = machine.memory_mib_ - settings.profiles[profile].reserve_mib;
  machine.image_ = image;
  machine.meant_for_ = meant_for;
  machine.activates_ = activates;
  machine.since_us_ = context_.now_us();
  index_.Insert(machine);
  SetDue(machine, context_.After(limit_ms));
  return machine;
}

void Machines::TurnWarm(Machine& machine, StartPath path, std::set<Runtime> runtimes) {
  machine.path_ = path;
  machine.runtimes_ = std::move(runtimes);
  Move(machine, MachineState::kWarm, "hello");
  machine.since_us_ = context_.now_us();
  if (!machine.meant_for_.empty()) just_warm_.push_back(machine.number_);
  // Ages differ by a tenth, so that not all machines are replaced at once.
  random_ = random_ * 6364136223846793005ULL + 1442695040888963407ULL;
  const auto age_us = kPoolAgeMs * kMicrosPerMilli;
  SetDue(machine, context_.now_us() + age_us * 9 / 10 +
                      static_cast<std::int64_t>((random_ >> 33U) % static_cast<std::uint64_t>(age_us / 5)));
  SetPing(machine, context_.After(context_.settings().ping_interval_ms));
}

void Machines::MeanFor(Machine& machine, const UserId& user) {
  index_.Leave(machine);
  machine.meant_for_ = user;
  index_.Enter(machine);
}

void Machines::Unclaim() {
  for (const auto number : just_warm_) {
    const auto found = machines_.find(number);
    if (found == machines_.end() || found->second.state_ != MachineState::kWarm) continue;
    MeanFor(found->second, UserId());
  }
  just_warm_.clear();
}

void Machines::Assign(Machine& machine, const UserId& user) {
  MeanFor(machine, user);
  Move(machine, MachineState::kAssigned, "taken");
  machine.since_us_ = context_.now_us();
  SetDue(machine, 0);
  context_.Emit(SendToGuest{machine.id_, {0, guest::Configure{machine.id_, user, context_.now().wall_us, ""}}});
  context_.Emit(MarkOwner{machine.id_, user});
}

void Machines::Drain(Machine& machine, const std::string& reason) {
  if (!Destroy(machine, MachineState::kDraining, reason).empty()) std::abort();  // something ran in it
}

std::vector<AttemptKey> Machines::Condemn(Machine& machine, const std::string& reason) {
  return Destroy(machine, MachineState::kSuspect, reason);
}

std::vector<AttemptKey> Machines::Destroy(Machine& machine, MachineState to, const std::string& reason) {
  std::vector<AttemptKey> attempts;
  if (machine.state_ == MachineState::kSuspect || machine.state_ == MachineState::kDraining) return attempts;
  Move(machine, to, reason);
  SetDue(machine, 0);
  SetPing(machine, 0);
  for (auto& [number, container] : machine.containers_) {
    if (auto attempt = Release(container)) attempts.push_back(std::move(*attempt));
    SetDue(machine, container, 0);
    if (container.state_ != ContainerState::kGone) Move(machine, container, ContainerState::kGone, reason);
  }
  machine.containers_.clear();
  machine.not_idle_ = 0;
  context_.Emit(DestroyMachine{machine.id_, reason});
  context_.AskToSchedule();
  return attempts;
}

void Machines::Erase(Machine& machine) {
  index_.Erase(machine);
  machines_.erase(machine.number_);
  context_.AskToSchedule();
}

void Machines::Move(Machine& machine, MachineState to, const std::string& reason) {
  if (!CanMove(machine.state_, to)) std::abort();  // a fault of ours: states.cc has all moves
  if (to == MachineState::kAssigned && !machine.user_.empty()) std::abort();  // one user for its whole life
  Trace trace;
  trace.kind = Trace::Kind::kMachineMoved;
  trace.user = to == MachineState::kAssigned ? machine.meant_for_ : machine.user_;
  trace.machine = machine.id_;
  trace.from = StateName(machine.state_);
  trace.to = StateName(to);
  trace.reason = reason;
  index_.Leave(machine);
  if (to == MachineState::kAssigned) machine.user_ = std::exchange(machine.meant_for_, UserId());
  machine.state_ = to;
  index_.Enter(machine);
  context_.Emit(std::move(trace));
  UpdateQuiet(machine);
  if (!machine.user_.empty()) NoteChange(machine);
}

void Machines::UpdateQuiet(Machine& machine) {
  const bool is_quiet = machine.state_ == MachineState::kAssigned && machine.not_idle_ == 0;
  if (is_quiet == (machine.quiet_us_ >= 0)) return;
  const auto since_us = is_quiet ? context_.now_us() : -1;
  index_.MoveQuiet(machine.number_, std::exchange(machine.quiet_us_, since_us), since_us);
}

void Machines::SetDue(Machine& machine, std::int64_t at_us) {
  index_.MoveDue({machine.number_, 0}, std::exchange(machine.due_us_, at_us), at_us);
}

void Machines::SetDue(Machine& machine, Container& container, std::int64_t at_us) {
  index_.MoveDue({machine.number_, container.number_}, std::exchange(container.due_us_, at_us), at_us);
}

void Machines::SetPing(Machine& machine, std::int64_t at_us) {
  index_.MovePing(machine.number_, std::exchange(machine.ping_us_, at_us), at_us);
}

std::optional<Machines::Due> Machines::TakeDue() {
  if (index_.due().empty() || index_.due().begin()->first > context_.now_us()) return std::nullopt;
  const auto place = index_.due().begin()->second;
  Machine& machine = machines_.at(place.machine);
  if (place.container == 0) {
    SetDue(machine, 0);
    return Due{&machine, nullptr};
  }
  Container& container = machine.Get(place.container);
  SetDue(machine, container, 0);
  return Due{&machine, &container};
}

Machine* Machines::NextToPing() {
  if (index_.pings().empty() || index_.pings().begin()->first > context_.now_us()) return nullptr;
  return &machines_.at(index_.pings().begin()->second);
}

void Machines::Ping(Machine& machine) {
  SetPing(machine, context_.After(context_.settings().ping_interval_ms));
  ++machine.pings_missed_;
  machine.unasked_ = 0;
  context_.Emit(SendToGuest{machine.id_, {0, guest::Ping{++machine.ping_sequence_}}});
}

bool Machines::TakePong(Machine& machine, std::uint64_t sequence) {
  if (sequence != machine.ping_sequence_ || machine.pings_missed_ == 0) return false;
  machine.pings_missed_ = 0;
  return true;
}

}  // namespace hearth::executor
