// Nice values of machines: how users share the processors where control groups cannot be written. They can be raised
// without a privilege, and not be lowered again.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "common/base/result.h"

namespace hearth::executor {

constexpr std::int32_t kNiceStep = 3;  // all machines of a user then weigh no more than two of its first
constexpr std::int32_t kMaxNice = 19;

// Of a user's machine, which has `rank` others of the same user before it.
[[nodiscard]] constexpr std::int32_t NiceOf(std::int32_t rank) {
  return std::min(rank, kMaxNice / kNiceStep + 1) * kNiceStep < kMaxNice ? rank * kNiceStep : kMaxNice;
}

// Every thread of the process, and those that it makes later, gets a value `by` above that of the caller; so does its
// session, where the system weighs sessions against each other (sched_autogroup). Blocks: at most kMaxSessionWaits
// times kSessionWaitMs.
Result<void> RaiseNice(pid_t process, std::int32_t by);
constexpr int kMaxSessionWaits = 20;  // the system takes one such value in a tenth of a second
constexpr int kSessionWaitMs = 20;

// The control group that weighs the process's time, empty where that is not told.
std::string ProcessorGroupOf(pid_t process);

}  // namespace hearth::executor
