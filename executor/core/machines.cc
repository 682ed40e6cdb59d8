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

std::vector<Spare> Machines::Spares(SpareQuery query) const {
  std::vector<Spare> spares;
  std::set<std::uint64_t> taken;
  const auto add = [&](std::uint64_t number) {
    if (!taken.insert(number).second) return;
    const std::int32_t memory_mib = Get(number).memory_mib();
    spares.push_back({number, memory_mib});
    query.missing_mib -= memory_mib;
  };
  const auto enough = [&] { return query.missing_mib <= 0; };
  // Of each pool so many that `keep` are left; the oldest first.
  const auto add_of_pools = [&](const std::vector<std::int32_t>& keep) {
    for (std::size_t profile = 0; profile < keep.size(); ++profile) {
      auto more = static_cast<std::int32_t>(index_.Warm(profile).size()) - keep[profile];
      for (const auto number : index_.Warm(profile)) {
        if (enough() || more-- <= 0) break;
        add(number);
      }
    }
  };
  add_of_pools(query.keep);
  std::map<UserId, std::size_t> left;  // machines of a user, without those that are given up already
  const auto several_before_us = context_.now_us() - query.several_idle_ms * kMicrosPerMilli;
  for (const auto& [since_us, number] : index_.quiet_of_several()) {
    if (enough() || since_us > several_before_us) break;
    const UserId& user = Get(number).user();
    const auto [mine, is_new] = left.try_emplace(user, index_.AssignedTo(user).size());
    if (mine->second <= 1) continue;
    --mine->second;
    add(number);
  }
  const auto only_before_us = context_.now_us() - query.only_idle_ms * kMicrosPerMilli;
  for (const auto& [since_us, number] : index_.quiet()) {
    if (enough() || since_us > only_before_us) break;
    add(number);
  }
  if (!enough()) add_of_pools(query.keep_at_last);
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

std::int32_t Machines::FreeRank(const UserId& user) const {
  std::set<std::int32_t> taken;
  for (const auto number : index_.AssignedTo(user)) taken.insert(Get(number).rank());
  std::int32_t rank = 0;
  while (taken.contains(rank)) ++rank;
  return rank;
}

void Machines::Assign(Machine& machine, const UserId& user) {
  machine.rank_ = FreeRank(user);
  MeanFor(machine, user);
  Move(machine, MachineState::kAssigned, "taken");
  machine.since_us_ = context_.now_us();
  SetDue(machine, 0);
  context_.Emit(SendToGuest{machine.id_, {0, guest::Configure{machine.id_, user, context_.now().wall_us, ""}}});
  context_.Emit(MarkOwner{machine.id_, user, machine.rank_});
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
  index_.MoveQuiet(machine, std::exchange(machine.quiet_us_, since_us), since_us);
}

void Machines::SetDue(Machine& machine, std::int64_t at_us) {
  index_.MoveDue({machine.number_, 0}, std::exchange(machine.due_us_, at_us), at_us);
}

// A warm container is due later with each step of a run, and never is: the index moves only to an earlier time.
void Machines::SetDue(Machine& machine, Container& container, std::int64_t at_us) {
  container.due_us_ = at_us;
  if (at_us == 0 || container.look_us_ == 0 || at_us < container.look_us_) SetLook(machine, container, at_us);
}

void Machines::SetLook(const Machine& machine, Container& container, std::int64_t at_us) {
  index_.MoveDue({machine.number_, container.number_}, std::exchange(container.look_us_, at_us), at_us);
}

void Machines::SetPing(Machine& machine, std::int64_t at_us) {
  index_.MovePing(machine.number_, std::exchange(machine.ping_us_, at_us), at_us);
}

std::optional<Machines::Due> Machines::TakeDue() {
  while (!index_.due().empty() && index_.due().begin()->first <= context_.now_us()) {
    const auto place = index_.due().begin()->second;
    Machine& machine = machines_.at(place.machine);
    if (place.container == 0) {
      SetDue(machine, 0);
      return Due{&machine, nullptr};
    }
    Container& container = machine.Get(place.container);
    if (container.due_us_ > context_.now_us()) {
      SetLook(machine, container, container.due_us_);
      continue;
    }
    SetDue(machine, container, 0);
    return Due{&machine, &container};
  }
  return std::nullopt;
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
