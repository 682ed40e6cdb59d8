// Limits of control groups from texts as Linux writes them, in versions 1 and 2, on a host and in containers.
#include "executor/control_groups.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "executor/config.h"
#include "executor/host_pressure.h"

namespace hearth::executor {
namespace {

using Files = std::map<std::string, std::string>;

FileText In(const Files& files) {
  return [&files](const std::string& path) {
    const auto found = files.find(path);
    return found == files.end() ? std::string() : found->second;
  };
}

constexpr const char* kUnifiedMount = "29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";

TEST(ControlGroups, OfVersion2TheSmallestLimitOnTheWayUpCounts) {
  const auto groups = FindControlGroups("0::/system.slice/hearth.service/inner\n", kUnifiedMount);
  ASSERT_EQ(groups.memory.size(), 4U);
  EXPECT_EQ(groups.memory[0].File("memory.max"), "/sys/fs/cgroup/system.slice/hearth.service/inner/memory.max");
  EXPECT_EQ(groups.memory[3].File("memory.max"), "/sys/fs/cgroup/memory.max");
  const Files files = {
      {"/sys/fs/cgroup/system.slice/hearth.service/inner/memory.max", "max\n"},
      {"/sys/fs/cgroup/system.slice/hearth.service/memory.max", "2147483648\n"},
      {"/sys/fs/cgroup/system.slice/hearth.service/memory.current", "1610612736\n"},
      {"/sys/fs/cgroup/system.slice/hearth.service/memory.stat", "anon 5\ninactive_file 536870912\nslab 1\n"},
      {"/sys/fs/cgroup/system.slice/memory.max", "4294967296\n"},
      {"/sys/fs/cgroup/system.slice/memory.current", "4026531840\n"},
      {"/sys/fs/cgroup/system.slice/hearth.service/inner/cpu.max", "max 100000\n"},
      {"/sys/fs/cgroup/system.slice/hearth.service/cpu.max", "150000 100000\n"},
      {"/sys/fs/cgroup/system.slice/hearth.service/cpu.stat", "usage_usec 7000\nuser_usec 5000\n"},
      {"/sys/fs/cgroup/system.slice/cpu.max", "400000 100000\n"}};
  const auto memory = ReadGroupMemory(groups, In(files));
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->limit_mib, 2048);
  EXPECT_EQ(memory->available_mib, 256) << "what the group above has left is less than the 1024 MiB of its own";
  const auto cpu = ReadGroupCpu(groups, In(files));
  ASSERT_TRUE(cpu);
  EXPECT_DOUBLE_EQ(cpu->processors, 1.5);
  EXPECT_EQ(cpu->used_us, 7000);
}

TEST(ControlGroups, WhereALibvirtdHasTheMachinesOnlyTheContainersLimitCounts) {
  const auto groups = FindControlGroups("0::/init/executor\n", kUnifiedMount, GroupScope::kContainer);
  ASSERT_EQ(groups.memory.size(), 1U);
  EXPECT_EQ(groups.memory[0].File("memory.max"), "/sys/fs/cgroup/memory.max");
  ASSERT_EQ(groups.cpu.size(), 1U);
  EXPECT_EQ(groups.cpu[0].path, "");
}

TEST(ControlGroups, AContainerOfVersion2HasItsOwnRoot) {
  const auto groups = FindControlGroups("0::/\n", kUnifiedMount);
  const Files files = {{"/sys/fs/cgroup/memory.max", "1073741824\n"}, {"/sys/fs/cgroup/memory.current", "0\n"}};
  const auto memory = ReadGroupMemory(groups, In(files));
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->limit_mib, 1024);
  EXPECT_EQ(memory->available_mib, 1024);
  EXPECT_FALSE(ReadGroupCpu(groups, In(files)));
}

constexpr const char* kDockerMounts =
    "700 690 0:29 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro,nosuid - cgroup cgroup rw,cpu,cpuacct\n"
    "701 690 0:32 /docker/abc /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory\n"
    "702 690 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
constexpr const char* kDockerGroups = "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n0::/\n";

TEST(ControlGroups, AContainerOfVersion1SeesItsGroupAsTheMount) {
  const auto groups = FindControlGroups(kDockerGroups, kDockerMounts);
  const Files files = {{"/sys/fs/cgroup/memory/memory.limit_in_bytes", "3221225472\n"},
                       {"/sys/fs/cgroup/memory/memory.usage_in_bytes", "2147483648\n"},
                       {"/sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 1073741824\n"},
                       {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n"},
                       {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"},
                       {"/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage", "5000000\n"}};
  const auto memory = ReadGroupMemory(groups, In(files));
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->limit_mib, 3072);
  EXPECT_EQ(memory->available_mib, 2048);
  const auto cpu = ReadGroupCpu(groups, In(files));
  ASSERT_TRUE(cpu);
  EXPECT_DOUBLE_EQ(cpu->processors, 2);
  EXPECT_EQ(cpu->used_us, 5000);
}

TEST(ControlGroups, WithoutALimitThereIsNone) {
  const auto groups = FindControlGroups(kDockerGroups, kDockerMounts);
  const Files files = {{"/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"},
                       {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"},
                       {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"}};
  EXPECT_FALSE(ReadGroupMemory(groups, In(files)));
  EXPECT_FALSE(ReadGroupCpu(groups, In(files)));
  for (const char* odd : {"", "\n", ":", "a:b", "0::", "4:memory:", "4:memory:relative", "0::/../../x"}) {
    const auto none = FindControlGroups(odd, kDockerMounts);
    EXPECT_FALSE(ReadGroupMemory(none, In({}))) << odd;
    EXPECT_FALSE(ReadGroupCpu(none, In({}))) << odd;
    EXPECT_TRUE(FindControlGroups(odd, "1 2 3\n - cgroup2\n").memory.empty()) << odd;
  }
}

constexpr const char* kHostMemory = "MemTotal: 25165824 kB\nMemAvailable: 20971520 kB\n";

// A host of two processors that are half busy, and a container on it.
TEST(HostWatch, InAContainerItsLimitsCount) {
  Files files = {{"/proc/meminfo", kHostMemory},
                 {"/proc/stat", "cpu 0 0 0 0 0 0 0 0\n"},
                 {"/proc/self/cgroup", "0::/\n"},
                 {"/proc/self/mountinfo", kUnifiedMount},
                 {"/sys/fs/cgroup/memory.max", "1073741824\n"},
                 {"/sys/fs/cgroup/memory.current", "536870912\n"},
                 {"/sys/fs/cgroup/cpu.max", "50000 100000\n"},
                 {"/sys/fs/cgroup/cpu.stat", "usage_usec 0\n"}};
  HostWatch watch(GroupScope::kOwn, In(files));
  EXPECT_FALSE(watch.Read(0));
  files["/proc/stat"] = "cpu 100 0 0 100 0 0 0 0\n";
  files["/sys/fs/cgroup/cpu.stat"] = "usage_usec 450000\n";
  auto pressure = watch.Read(1'000'000);
  ASSERT_TRUE(pressure);
  EXPECT_EQ(pressure->memory_available_mib, 512);
  EXPECT_EQ(pressure->cpu_busy_ppm, 900'000) << "0.45 s of the half second that the quota allows";

  files["/proc/stat"] = "cpu 290 0 0 110 0 0 0 0\n";
  files["/proc/meminfo"] = "MemAvailable: 102400 kB\n";
  pressure = watch.Read(2'000'000);
  ASSERT_TRUE(pressure);
  EXPECT_EQ(pressure->memory_available_mib, 100) << "the host itself is short";
  EXPECT_EQ(pressure->cpu_busy_ppm, 950'000) << "others keep it busy";
}

TEST(HostMemory, MachinesFitIntoTheGroup) {
  Settings core;
  core.memory_mib = 8192;
  core.profiles.resize(1);
  EXPECT_EQ(*FitMemory(core, std::nullopt), "");
  EXPECT_EQ(*FitMemory(core, GroupMemory{.limit_mib = 16'384, .available_mib = 0}), "");
  EXPECT_EQ(core.memory_mib, 8192);
  const auto less = FitMemory(core, GroupMemory{.limit_mib = 4096, .available_mib = 0});
  ASSERT_TRUE(less);
  EXPECT_EQ(core.memory_mib, 4096 - kExecutorReserveMib);
  EXPECT_NE(less->find("machines.memory_mib is 8192"), std::string::npos) << *less;
  EXPECT_NE(less->find("4096 MiB"), std::string::npos) << *less;
  core.memory_mib = 8192;
  const auto none = FitMemory(core, GroupMemory{.limit_mib = 768, .available_mib = 0});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::kInvalid);
  EXPECT_NE(none.error().message.find("768 MiB"), std::string::npos) << none.error().message;
  EXPECT_NE(none.error().message.find("default"), std::string::npos) << "the profile that does not fit";
}

TEST(Processors, SayWhatTheConfigurationLeavesOpen) {
  Settings core;
  core.credit = core.waiting = 0;
  FitProcessors(core, 1);
  EXPECT_EQ(core.credit, 16);
  EXPECT_EQ(core.waiting, 8) << "so many in any case";
  core.credit = core.waiting = 0;
  FitProcessors(core, 64);
  EXPECT_EQ(core.credit, 1024);
  EXPECT_EQ(core.waiting, 256);
  core.credit = 7;
  core.waiting = 3;
  FitProcessors(core, 64);
  EXPECT_EQ(core.credit, 7) << "what is said stands";
  EXPECT_EQ(core.waiting, 3);
  EXPECT_GE(ReadOwnProcessors(GroupScope::kOwn), 1);
}

}  // namespace
}  // namespace hearth::executor
