// How often an invocation was tried, and what became of it. Attempts are numbered from 1, over all owners of the
// partition: a later owner learns the numbers of its predecessors from what executors report.
#pragma once

#include <algorithm>
#include <cstdint>

namespace hearth::dispatcher {

class Tries {
 public:
  [[nodiscard]] std::int32_t attempt() const { return attempt_; }  // the last one, whatever ended it; 0: none yet
  [[nodiscard]] std::int32_t failed() const { return failed_; }    // those that count against max_attempts
  [[nodiscard]] std::int32_t infrastructure_failures() const { return infrastructure_failures_; }
  [[nodiscard]] std::int32_t returned() const { return returned_; }  // never ran: refused, or lost on the way

  // What a former owner knew of it.
  void Restore(std::int32_t failed, std::int32_t infrastructure_failures) {
    failed_ = failed;
    infrastructure_failures_ = infrastructure_failures;
    attempt_ = failed + infrastructure_failures;
  }
  void Start() { ++attempt_; }
  // An attempt of that number exists.
  void See(std::int32_t attempt) { attempt_ = std::max(attempt_, attempt); }
  // An attempt of that number runs that is not of our own making. Those before it that are not accounted for have
  // failed; the function has `most` tries, and the one that runs is one of them.
  void Adopt(std::int32_t attempt, std::int32_t most);
  // The function failed. A try that was reported as failed was not the final one: at least one more is owed. Its number
  // comes with the report (0: it does not), because the first that we hear of may be a later one of an earlier owner,
  // and may be heard of twice.
  void Fail(std::int32_t try_number, std::int32_t most);
  void FailFinally() { ++failed_; }
  void LoseMachine() { ++infrastructure_failures_; }
  void Return() { ++returned_; }

 private:
  std::int32_t attempt_ = 0;
  std::int32_t failed_ = 0;
  std::int32_t infrastructure_failures_ = 0;
  std::int32_t returned_ = 0;
};

inline void Tries::Adopt(std::int32_t attempt, std::int32_t most) {
  attempt_ = attempt;
  const std::int32_t before = attempt - 1 - infrastructure_failures_ - returned_;
  failed_ = std::max(failed_, std::min(before, most - 1));
}

inline void Tries::Fail(std::int32_t try_number, std::int32_t most) {
  const std::int32_t by_attempt = attempt_ - infrastructure_failures_ - returned_;
  const std::int32_t tries = try_number > 0 ? try_number : std::max(failed_ + 1, by_attempt);
  failed_ = std::max(failed_, std::min(tries, std::max(most - 1, 0)));
}

}  // namespace hearth::dispatcher
