// What is read of strace's table.
#include "tools/bench/system_calls.h"

#include <gtest/gtest.h>

namespace hearth::bench {
namespace {

constexpr const char* kTable = R"(% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 59.70    0.012345          12      1024           epoll_wait
 40.30    0.008333           8       976       100 read
------ ----------- ----------- --------- --------- ----------------
100.00    0.020678          10      2000       100 total
)";

TEST(SystemCalls, TheTotalIsRead) {
  EXPECT_EQ(TotalCalls(kTable), 2000);
  EXPECT_EQ(TotalCalls("100.00    0.020678          10      2000           total\n"), 2000);
}

TEST(SystemCalls, WhatIsNoTableHasNone) {
  for (const char* text :
       {"", "total\n", "strace: attach: ptrace(PTRACE_SEIZE, 1): Operation not permitted\n", "1 2 3 total\n"}) {
    EXPECT_FALSE(TotalCalls(text)) << text;
  }
}

TEST(SystemCalls, AProcessThatIsNotThereIsNotTraced) {
  const auto calls = SystemCalls::Begin({INT32_MAX}, testing::TempDir());
  ASSERT_FALSE(calls);
  EXPECT_EQ(calls.error().code, Code::kUnavailable);
  EXPECT_FALSE(calls.error().message.empty());
}

}  // namespace
}  // namespace hearth::bench
