// What executors have told of records that were not read yet: attempts that ended, and attempts that run. It is kept
// until the record comes, and then it is the last word on it.
//
// It holds at any time: of one offset at most one end and one running attempt are kept, those that say most. An end
// that was published says more than any other, and of two others the later attempt. That an earlier one failed is kept
// with it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "schemas/link.h"

namespace hearth::dispatcher {

struct EarlyEnd {
  ExecutorId executor;
  link::Done done;
  std::optional<link::Done> failed = std::nullopt;  // an earlier attempt that failed, where one was told of
};
struct EarlyRun {
  ExecutorId executor;
  link::Running run;
};

class EarlyReports {
 public:
  struct Superseded {
    std::optional<EarlyEnd> end;  // it says less than what is kept
    std::optional<EarlyRun> run;  // it runs for nobody
  };
  // Keeps the end, or what says more. Returns what is not kept.
  Superseded NoteEnd(EarlyEnd end);
  // Keeps the running attempt, or what says more. Returns the one that runs for nobody, if any.
  std::optional<EarlyRun> NoteRun(EarlyRun run);

  [[nodiscard]] const EarlyEnd* FindEnd(std::int64_t offset) const;
  [[nodiscard]] bool Knows(std::int64_t offset) const { return ends_.contains(offset) || runs_.contains(offset); }
  [[nodiscard]] bool HasRun(std::int64_t offset) const { return runs_.contains(offset); }
  std::optional<EarlyEnd> TakeEnd(std::int64_t offset);
  std::optional<EarlyRun> TakeRun(std::int64_t offset);
  // Takes the ends of offsets below `next` that the predicate names.
  template <class Predicate>
  std::vector<EarlyEnd> TakeEndsBelow(std::int64_t next, Predicate predicate) {
    std::vector<EarlyEnd> taken;
    for (auto end = ends_.begin(); end != ends_.end() && end->first < next;) {
      if (!predicate(end->first)) {
        ++end;
        continue;
      }
      taken.push_back(std::move(end->second));
      end = ends_.erase(end);
    }
    return taken;
  }
  // Offsets of which an attempt runs.
  [[nodiscard]] std::int64_t runs() const { return std::ssize(runs_); }
  // Takes the running attempts of offsets that the predicate names.
  template <class Predicate>
  std::vector<EarlyRun> TakeRuns(Predicate predicate) {
    std::vector<EarlyRun> taken;
    std::erase_if(runs_, [&](auto& one) {
      if (!predicate(one.first)) return false;
      taken.push_back(std::move(one.second));
      return true;
    });
    return taken;
  }
  // The executor has told of all that it runs, by offset and attempt: what is not among that runs there no more.
  void KeepRunsOf(const ExecutorId& executor, const std::set<std::pair<std::int64_t, std::int32_t>>& running);
  // The executor is gone, and what it ran with it.
  void ForgetRunsOf(const ExecutorId& executor);

 private:
  std::map<std::int64_t, EarlyEnd> ends_;  // by offset
  std::map<std::int64_t, EarlyRun> runs_;
};

}  // namespace hearth::dispatcher
