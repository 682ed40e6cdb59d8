// An archive goes where somebody waits for it, as soon as it is here.
#include "executor/core/code_cache.h"

#include <utility>

namespace hearth::executor {

bool CodeCache::Holds(const Machine& machine, const CodeHash& hash) const {
  const auto of = of_machines_.find(machine.number());
  return of != of_machines_.end() && of->second.held.contains(hash);
}

bool CodeCache::Knows(const Machine& machine, const CodeHash& hash) const {
  const auto of = of_machines_.find(machine.number());
  return of != of_machines_.end() && (of->second.held.contains(hash) || of->second.coming.contains(hash));
}

bool CodeCache::Provide(const Machine& machine, const CodeHash& hash, const AttemptKey& attempt) {
  if (Holds(machine, hash)) return true;
  Send(machine, hash);
  waiting_[{machine.user(), hash}].emplace(attempt, machine.number());
  return false;
}

void CodeCache::Send(const Machine& machine, const CodeHash& hash) {
  if (Knows(machine, hash)) return;
  const auto [archive, is_new] = archives_.try_emplace({machine.user(), hash});
  archive->second.used = next_use_++;
  if (is_new) context_.Emit(LoadCode{machine.user(), hash});
  if (archive->second.bytes == nullptr) return;
  context_.Emit(SendArchive{machine.id(), hash, archive->second.bytes});
  of_machines_[machine.number()].coming.insert(hash);
}

void CodeCache::StopWaiting(const UserCode& code, const AttemptKey& attempt) {
  const auto waiting = waiting_.find(code);
  if (waiting == waiting_.end()) return;
  waiting->second.erase(attempt);
  if (waiting->second.empty()) waiting_.erase(waiting);
}

std::vector<AttemptKey> CodeCache::Sent(const Machine& machine, const CodeHash& hash) {
  const auto of = of_machines_.find(machine.number());
  if (of == of_machines_.end() || of->second.coming.erase(hash) == 0) return {};
  of->second.held.insert(hash);
  return TakeWaiting(machine, hash);
}

std::vector<AttemptKey> CodeCache::Lost(const Machine& machine, const CodeHash& hash) {
  const auto of = of_machines_.find(machine.number());
  if (of == of_machines_.end()) return {};
  of->second.held.erase(hash);
  of->second.coming.erase(hash);
  return TakeWaiting(machine, hash);
}

std::vector<AttemptKey> CodeCache::TakeWaiting(const Machine& machine, const CodeHash& hash) {
  std::vector<AttemptKey> attempts;
  const auto waiting = waiting_.find({machine.user(), hash});
  if (waiting == waiting_.end()) return attempts;
  for (auto at = waiting->second.begin(); at != waiting->second.end();) {
    if (at->second == machine.number()) {
      attempts.push_back(at->first);
      at = waiting->second.erase(at);
    } else {
      ++at;
    }
  }
  if (waiting->second.empty()) waiting_.erase(waiting);
  return attempts;
}

void CodeCache::Loaded(const UserCode& code, std::shared_ptr<const std::string> bytes) {
  const auto archive = archives_.find(code);
  if (archive == archives_.end()) return;
  archive->second.bytes = std::move(bytes);
  if (const auto waiting = waiting_.find(code); waiting != waiting_.end()) {
    for (const auto& [attempt, machine] : waiting->second) Send(machines_.Get(machine), code.second);
  }
  Shrink();
}

std::vector<AttemptKey> CodeCache::LoadFailed(const UserCode& code) {
  std::vector<AttemptKey> attempts;
  if (archives_.erase(code) == 0) return attempts;
  if (const auto waiting = waiting_.extract(code); !waiting.empty()) {
    for (const auto& [attempt, machine] : waiting.mapped()) attempts.push_back(attempt);
  }
  return attempts;
}

void CodeCache::Shrink() {
  auto total = kept_bytes();
  while (total > most_bytes_) {
    auto oldest = archives_.end();
    for (auto at = archives_.begin(); at != archives_.end(); ++at) {
      if (at->second.bytes == nullptr) continue;
      if (oldest == archives_.end() || at->second.used < oldest->second.used) oldest = at;
    }
    if (oldest == archives_.end()) break;
    total -= oldest->second.bytes->size();
    archives_.erase(oldest);
  }
}

std::size_t CodeCache::waiting() const {
  std::size_t count = 0;
  for (const auto& [code, attempts] : waiting_) count += attempts.size();
  return count;
}

std::size_t CodeCache::kept_bytes() const {
  std::size_t total = 0;
  for (const auto& [code, archive] : archives_) total += archive.bytes == nullptr ? 0 : archive.bytes->size();
  return total;
}

}  // namespace hearth::executor
