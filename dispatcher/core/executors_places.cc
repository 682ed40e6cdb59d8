// How executors count in Places: each change of one is counted at once, and what time alone changes when its time
// comes.
#include <algorithm>

#include "dispatcher/core/executors.h"

namespace hearth::dispatcher {

bool Executors::Cools(const Executor& executor, const std::string& profile) const {
  const auto until = executor.cooling_until_us_.find(profile);
  return until != executor.cooling_until_us_.end() && context_.now_us() < until->second;
}

bool Executors::HasRuntime(const link::ProfileCapacity& profile, Runtime runtime) {
  const auto& runtimes = profile.runtimes;
  return runtimes.empty() || std::find(runtimes.begin(), runtimes.end(), RuntimeName(runtime)) != runtimes.end();
}

std::vector<Places::Line> Executors::LinesOf(const Executor& executor) {
  using Standing = Places::Standing;
  std::vector<Places::Line> lines;
  for (const auto& [name, profile] : executor.profiles_) {
    Standing standing = Suspect(executor) ? Standing::kSuspect : Standing::kFree;
    if (standing == Standing::kFree && executor.free_credit() <= 0) standing = Standing::kFull;
    const bool cools = Cools(executor, "") || Cools(executor, name);
    if (standing != Standing::kSuspect && cools) standing = Standing::kCooling;
    const std::int32_t largest = profile.container_mib == 0 ? Places::kAnySize : profile.container_mib;
    for (const RuntimeRow& row : kRuntimes) {
      if (HasRuntime(profile, row.runtime)) lines.push_back({places_.KindOf(name, row.runtime), largest, standing});
    }
  }
  return lines;
}

// Most changes change nothing here: an attempt more or less, where there is credit before and after.
void Executors::Review(Executor& executor) {
  using Standing = Places::Standing;
  const bool takes = executor.connected_ && !executor.draining_;
  Places::Part part;
  part.standing = executor.free_credit() > 0 ? Standing::kFree : Standing::kFull;
  if (executor.draining_) part.standing = Standing::kDraining;
  if (Suspect(executor)) part.standing = Standing::kSuspect;
  if (!executor.connected_) part.standing = Standing::kLinkDown;
  if (takes) {
    part.credit = std::max(0, executor.credit_ - executor.waiting_ - executor.held_by_others_);
    part.waiting = executor.waiting_;
    part.held = executor.held_long_;
  }
  Places::Part& before = executor.part_;
  LookAgain(executor);
  const bool alike = executor.is_counted_ && !executor.changed_ && part.standing == before.standing;
  if (alike && part.credit == before.credit && part.waiting == before.waiting && part.held == before.held) return;
  if (part.standing == Standing::kSuspect || part.standing == Standing::kLinkDown) {
    quiet_.insert(executor.id_);
  } else {
    quiet_.erase(executor.id_);
  }
  std::vector<Places::Line> lines;
  if (alike) lines.swap(before.lines);  // they go on counting
  if (!alike && takes) part.lines = LinesOf(executor);
  executor.changed_ = false;
  if (!alike) places_.NoteChance();
  places_.Add(part);  // before the old one goes: what stays possible was possible all the time
  if (executor.is_counted_) places_.Remove(before);
  executor.is_counted_ = true;
  before = std::move(part);
  if (alike) before.lines.swap(lines);
}

void Executors::LookAgain(Executor& executor) {
  std::int64_t next_us = INT64_MAX;
  if (executor.connected_ && !Suspect(executor)) {
    next_us = executor.heard_us_ + link::kSuspectMs * kMicrosPerMilli + 1;
  }
  for (const auto& [profile, until_us] : executor.cooling_until_us_) {
    if (until_us > context_.now_us()) next_us = std::min(next_us, until_us);
  }
  if (next_us == INT64_MAX || (executor.look_at_us_ != 0 && executor.look_at_us_ <= next_us)) return;
  executor.look_at_us_ = next_us;
  looks_.emplace(next_us, executor.id_);
}

void Executors::Advance() {
  while (!looks_.empty() && looks_.top().first <= context_.now_us()) {
    const auto [due_us, id] = looks_.top();
    looks_.pop();
    Executor* executor = Find(id);
    if (executor == nullptr || executor->look_at_us_ != due_us) continue;
    executor->look_at_us_ = 0;
    const auto is_over = [this](const auto& one) { return one.second <= context_.now_us(); };
    if (std::erase_if(executor->cooling_until_us_, is_over) > 0) executor->changed_ = true;
    Review(*executor);
  }
}

void Executors::RecountPlaces() {
  for (auto& [id, executor] : executors_) {
    executor.changed_ = true;
    Review(executor);
  }
}

}  // namespace hearth::dispatcher
