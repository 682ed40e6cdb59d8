#include "dispatcher/core/executors.h"

#include <algorithm>

#include "dispatcher/core/check.h"

namespace hearth::dispatcher {
namespace {

// Whether the same containers fit in its machines.
bool TakesAlike(const std::pair<const std::string, link::ProfileCapacity>& a,
                const std::pair<const std::string, link::ProfileCapacity>& b) {
  return a.first == b.first && a.second.container_mib == b.second.container_mib &&
         a.second.runtimes == b.second.runtimes;
}

// Whether the first has no more machines for anybody than the second.
bool HasNoMore(const std::pair<const std::string, link::ProfileCapacity>& a,
               const std::pair<const std::string, link::ProfileCapacity>& b) {
  return a.second.pool_ready <= b.second.pool_ready && a.second.pool_kept >= b.second.pool_kept &&
         a.second.shells <= b.second.shells && a.second.can_start <= b.second.can_start;
}

}  // namespace

Executor* Executors::Find(const ExecutorId& id) {
  const auto found = executors_.find(id);
  return found == executors_.end() ? nullptr : &found->second;
}

const Executor* Executors::Find(const ExecutorId& id) const {
  const auto found = executors_.find(id);
  return found == executors_.end() ? nullptr : &found->second;
}

Executor& Executors::Connect(const link::ExecutorHello& hello) {
  Executor& executor = executors_[hello.executor];
  executor.id_ = hello.executor;
  executor.incarnation_ = hello.incarnation;
  executor.connected_ = true;
  executor.lease_over_ = false;
  executor.leaves_ = false;
  executor.draining_ = hello.draining;
  executor.credit_ = hello.credit;
  executor.waiting_room_ = hello.waiting_room;
  executor.waiting_ = hello.waiting;
  executor.without_waiting_room_.clear();
  executor.held_by_others_ = 0;
  executor.heard_us_ = context_.now_us();
  executor.cooling_until_us_.clear();
  executor.demand_told_.clear();
  executor.profiles_.clear();
  for (const link::ProfileCapacity& profile : hello.profiles) executor.profiles_[profile.profile] = profile;
  executor.changed_ = true;
  Review(executor);
  return executor;
}

void Executors::Disconnect(Executor& executor) {
  executor.connected_ = false;
  Review(executor);
}

bool Executors::Hear(Executor& executor) {
  executor.heard_us_ = context_.now_us();
  if (executor.part_.standing == Places::Standing::kSuspect) Review(executor);
  return std::exchange(executor.lease_over_, false);
}

std::set<UserId> Executors::TakeHeartbeat(Executor& executor, const link::Heartbeat& heartbeat) {
  if (heartbeat.waiting_room > executor.waiting_room_) places_.NoteChance();
  executor.credit_ = heartbeat.credit;
  executor.waiting_room_ = heartbeat.waiting_room;
  executor.waiting_ = heartbeat.waiting;
  executor.held_by_others_ = std::max(0, heartbeat.held - executor.placed_);
  executor.draining_ = heartbeat.draining;
  executor.leaves_ = heartbeat.leaves;
  std::map<std::string, link::ProfileCapacity> profiles;
  for (const link::ProfileCapacity& profile : heartbeat.profiles) profiles[profile.profile] = profile;
  executor.changed_ = executor.changed_ || !std::ranges::equal(profiles, executor.profiles_, TakesAlike);
  if (!executor.changed_ && !std::ranges::equal(profiles, executor.profiles_, HasNoMore)) places_.NoteChance();
  executor.profiles_ = std::move(profiles);
  Review(executor);
  return std::exchange(executor.without_waiting_room_, {});
}

void Executors::Tick() {
  const bool stood_still = ticked_us_ != 0 && context_.now_us() - ticked_us_ > kStallMs * kMicrosPerMilli;
  if (stood_still) lenient_until_us_ = context_.After(kStallGraceMs);
  ticked_us_ = context_.now_us();
}

std::vector<ExecutorId> Executors::TakeSilent() {
  std::vector<ExecutorId> silent;
  if (!MayJudgeSilence()) return silent;
  for (const ExecutorId& id : quiet_) {
    Executor& executor = executors_.at(id);
    if (executor.lease_over_ || context_.now_us() - executor.heard_us_ <= link::kLeaseMs * kMicrosPerMilli) continue;
    executor.lease_over_ = true;
    silent.push_back(id);
  }
  return silent;
}

void Executors::Erase(const ExecutorId& id) {
  const auto found = executors_.find(id);
  if (found == executors_.end()) return;
  Check(found->second.placed_ == 0, "an executor is forgotten with attempts still placed", found->second.placed_);
  places_.Remove(found->second.part_);  // it was counted when it connected
  quiet_.erase(id);
  executors_.erase(found);
}

void Executors::Expect(const std::vector<std::string>& addresses) {
  expected_ = std::set<std::string>(addresses.begin(), addresses.end());
}

bool Executors::Suspect(const Executor& executor) const {
  return context_.now_us() - executor.heard_us_ > link::kSuspectMs * kMicrosPerMilli;
}

Candidate Executors::Describe(const Executor& executor, const Function& function) const {
  Candidate candidate;
  candidate.executor = executor.id_;
  candidate.link_up = executor.connected_;
  candidate.suspect = Suspect(executor);
  candidate.draining = executor.draining_;
  candidate.held = executor.held();
  candidate.free_credit = executor.free_credit();
  candidate.waiting_room = executor.waiting_room_;
  candidate.cooling = Cools(executor, "") || Cools(executor, function.profile);
  const auto profile = executor.profiles_.find(function.profile);
  candidate.has_profile = profile != executor.profiles_.end();
  if (candidate.has_profile) {
    candidate.pool_ready = profile->second.pool_ready;
    candidate.shells = profile->second.shells;
    candidate.can_start = profile->second.can_start;
    candidate.largest_mib = profile->second.container_mib;
    candidate.has_runtime = HasRuntime(profile->second, function.runtime);
  }

  // Every attempt of ours holds one container, or is about to: the rest of the containers are idle.
  const Warmth warmth = warm_.Of(function.user, executor.id_, function.name, function.version, function.memory_mib);
  const auto own = executor.promised_.find({function.user, {function.name, function.version}});
  const std::int32_t taken = own == executor.promised_.end() ? 0 : own->second.count;
  candidate.idle_containers =
      claims_.Claimable(executor.id_, function).value_or(std::max(0, warmth.containers - taken));
  std::int32_t promised_mib = 0;
  for (auto it = executor.promised_.lower_bound({function.user, {FunctionName{}, 0}});
       it != executor.promised_.end() && it->first.first == function.user; ++it) {
    const auto& [name, version] = it->first.second;
    const std::int32_t have = warm_.Of(function.user, executor.id_, name, version, 0).containers;
    promised_mib += std::max(0, it->second.count - have) * it->second.memory_mib;
  }
  candidate.machine_room_mib = std::max(0, warmth.machine_room_mib - promised_mib);
  candidate.code_cached = warmth.code_cached;
  if (candidate.has_profile && warmth.holds_machine) {
    candidate.pool_ready = std::max(0, candidate.pool_ready - profile->second.pool_kept);
  }
  // What it was believed to have for the user, it has not.
  if (executor.without_waiting_room_.contains(function.user)) {
    candidate.waiting_room = candidate.machine_room_mib = 0;
    candidate.pool_ready = candidate.shells = candidate.can_start = 0;
  }
  return candidate;
}

void Executors::Place(Executor& executor, const UserId& user, const FunctionName& function, std::int64_t version,
                      std::int32_t memory_mib, Hold hold) {
  ++executor.placed_;
  if (hold.is_long) ++executor.held_long_[static_cast<std::size_t>(hold.request_class)];
  Review(executor);
  Executor::Promise& promise = executor.promised_[{user, {function, version}}];
  ++promise.count;
  promise.memory_mib = memory_mib;
}

void Executors::GiveBack(const ExecutorId& id, const UserId& user, const FunctionName& function, std::int64_t version,
                         Hold hold) {
  Executor* executor = Find(id);
  if (executor == nullptr) return;
  --executor->placed_;
  if (hold.is_long) --executor->held_long_[static_cast<std::size_t>(hold.request_class)];
  Review(*executor);
  const auto promise = executor->promised_.find({user, {function, version}});
  const bool promised = promise != executor->promised_.end();
  Check(promised, "an executor gives back what it was not promised", executor->placed_);
  if (promised && --promise->second.count == 0) executor->promised_.erase(promise);
}

void Executors::Spend(Executor& executor, const std::string& profile, StartPath path) {
  link::ProfileCapacity& capacity = executor.profiles_.at(profile);
  if (path == StartPath::kPool) --capacity.pool_ready;
  if (path == StartPath::kRestore) --capacity.shells;
  if (path == StartPath::kBoot) --capacity.can_start;
  if (WaitsForMachine(path)) --executor.waiting_room_;
}

void Executors::Cool(Executor& executor, const std::string& profile, std::int64_t ms) {
  executor.cooling_until_us_[profile] = context_.After(ms);
  executor.changed_ = true;
  Review(executor);
}

void Executors::NoteNoMachine(Executor& executor, const UserId& user) {
  executor.without_waiting_room_.insert(user);
}

bool Executors::HasRefused(const UserId& user) const {
  return std::ranges::any_of(executors_,
                             [&](const auto& one) { return one.second.without_waiting_room_.contains(user); });
}

void Executors::StopTaking(Executor& executor) {
  executor.draining_ = true;
  Review(executor);
}

std::int64_t Executors::takers() const {
  return std::count_if(executors_.begin(), executors_.end(),
                       [](const auto& one) { return one.second.connected_ && !one.second.draining_; });
}

void Executors::TellDemand(const std::vector<link::ProfileDemand>& share) {
  for (auto& [id, executor] : executors_) {
    if (!executor.connected_) continue;
    auto told = executor.draining_ ? std::vector<link::ProfileDemand>{} : share;
    if (executor.demand_told_ == told) continue;
    executor.demand_told_ = told;
    context_.Emit(SendToExecutor{id, link::Demand{std::move(told)}});
  }
}

}  // namespace hearth::dispatcher
