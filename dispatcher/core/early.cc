#include "dispatcher/core/early.h"

#include <utility>

namespace hearth::dispatcher {
namespace {

// Of what failed before the end that is kept, the latest.
void KeepFailure(EarlyEnd& kept, const EarlyEnd& superseded) {
  const auto keep = [&](const link::Done& done) {
    if (!kept.failed || kept.failed->ref.attempt < done.ref.attempt) kept.failed = done;
  };
  if (superseded.failed) keep(*superseded.failed);
  if (superseded.done.outcome == link::Outcome::kFailed) keep(superseded.done);
}

}  // namespace

EarlyReports::Superseded EarlyReports::NoteEnd(EarlyEnd end) {
  Superseded superseded;
  const std::int64_t offset = end.done.ref.offset;
  const link::AttemptRef ref = end.done.ref;
  const ExecutorId executor = end.executor;
  const bool published = end.done.outcome == link::Outcome::kPublished;
  if (const auto [known, first] = ends_.try_emplace(offset, end); !first) {
    const link::Done& done = known->second.done;
    const bool keep = done.outcome == link::Outcome::kPublished || done.ref.attempt >= ref.attempt;
    if (!keep || published) std::swap(known->second, end);
    // The same end may be told under each epoch.
    if (end.executor != known->second.executor || end.done.ref.attempt != known->second.done.ref.attempt) {
      KeepFailure(known->second, end);
      superseded.end = std::move(end);
    }
  }

  const auto running = runs_.find(offset);
  if (running == runs_.end()) return superseded;
  const bool later = running->second.run.ref.attempt > ref.attempt;
  if (later && !published) return superseded;
  const bool same = running->second.run.ref.attempt == ref.attempt && running->second.executor == executor;
  if (!same) superseded.run = std::move(running->second);
  runs_.erase(running);
  return superseded;
}

std::optional<EarlyRun> EarlyReports::NoteRun(EarlyRun run) {
  const std::int64_t offset = run.run.ref.offset;
  const std::int32_t attempt = run.run.ref.attempt;
  if (const EarlyEnd* end = FindEnd(offset); end != nullptr) {
    const bool over = end->done.outcome == link::Outcome::kPublished || end->done.ref.attempt >= attempt;
    if (over) return run;
  }
  const auto [known, first] = runs_.try_emplace(offset, run);
  // The same attempt may be told of under each epoch.
  if (first || (known->second.executor == run.executor && known->second.run.ref.attempt == attempt))
    return std::nullopt;
  if (attempt > known->second.run.ref.attempt) std::swap(known->second, run);
  return run;
}

const EarlyEnd* EarlyReports::FindEnd(std::int64_t offset) const {
  const auto found = ends_.find(offset);
  return found == ends_.end() ? nullptr : &found->second;
}

std::optional<EarlyEnd> EarlyReports::TakeEnd(std::int64_t offset) {
  auto node = ends_.extract(offset);
  if (node.empty()) return std::nullopt;
  return std::move(node.mapped());
}

std::optional<EarlyRun> EarlyReports::TakeRun(std::int64_t offset) {
  auto node = runs_.extract(offset);
  if (node.empty()) return std::nullopt;
  return std::move(node.mapped());
}

void EarlyReports::KeepRunsOf(const ExecutorId& executor,
                              const std::set<std::pair<std::int64_t, std::int32_t>>& running) {
  std::erase_if(runs_, [&](const auto& one) {
    return one.second.executor == executor && !running.contains({one.first, one.second.run.ref.attempt});
  });
}

void EarlyReports::ForgetRunsOf(const ExecutorId& executor) {
  std::erase_if(runs_, [&](const auto& one) { return one.second.executor == executor; });
}

}  // namespace hearth::dispatcher
