#include "executor/host_pressure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>
#include <utility>

namespace hearth::executor {
namespace {

constexpr std::int64_t kPpm = 1'000'000;

}  // namespace

std::optional<std::int32_t> ParseMemoryAvailableMib(std::string_view meminfo) {
  constexpr std::string_view kName = "MemAvailable:";
  const auto at = meminfo.find(kName);
  if (at == std::string_view::npos) return std::nullopt;
  std::istringstream line{std::string(meminfo.substr(at + kName.size()))};
  std::int64_t kib = -1;
  line >> kib;
  if (!line || kib < 0) return std::nullopt;
  return static_cast<std::int32_t>(std::min<std::int64_t>(kib / 1024, INT32_MAX));
}

std::optional<CpuTimes> ParseCpuTimes(std::string_view stat) {
  if (!stat.starts_with("cpu ")) return std::nullopt;
  std::istringstream line{std::string(stat.substr(4, stat.find('\n') - 4))};
  CpuTimes times;
  std::uint64_t ticks = 0;
  std::size_t column = 0;
  // user nice system idle iowait irq softirq steal; guest time is part of user time already.
  for (; column < 8 && line >> ticks; ++column) {
    times.all += ticks;
    if (column != 3 && column != 4) times.busy += ticks;
  }
  if (column < 5) return std::nullopt;
  return times;
}

std::string ReadFileText(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// How much of its quota the group has used since the last call; 0 where it has none.
std::int32_t HostWatch::GroupBusyPpm(const ControlGroups& groups, std::int64_t now_us) {
  const auto group = ReadGroupCpu(groups, text_);
  const auto before = std::exchange(last_group_, group);
  const auto passed_us = now_us - std::exchange(last_us_, now_us);
  if (!group || !before || passed_us <= 0 || group->used_us <= before->used_us) return 0;
  const double share =
      static_cast<double>(group->used_us - before->used_us) / (static_cast<double>(passed_us) * group->processors);
  return static_cast<std::int32_t>(std::min(share, 1.0) * static_cast<double>(kPpm));
}

std::optional<HostPressure> HostWatch::Read(std::int64_t now_us) {
  const auto groups = FindControlGroups(text_("/proc/self/cgroup"), text_("/proc/self/mountinfo"), scope_);
  const std::int32_t group_ppm = GroupBusyPpm(groups, now_us);
  auto memory_mib = ParseMemoryAvailableMib(text_("/proc/meminfo"));
  const auto times = ParseCpuTimes(text_("/proc/stat"));
  const auto before = std::exchange(last_, times);
  if (!memory_mib || !times || !before || times->all <= before->all) return std::nullopt;
  if (const auto group = ReadGroupMemory(groups, text_)) {
    memory_mib = static_cast<std::int32_t>(std::min<std::int64_t>(*memory_mib, group->available_mib));
  }
  const auto busy = times->busy >= before->busy ? times->busy - before->busy : 0;
  const auto busy_ppm = static_cast<std::int64_t>(busy * kPpm / (times->all - before->all));
  return HostPressure{*memory_mib, std::max(group_ppm, static_cast<std::int32_t>(std::min(busy_ppm, kPpm)))};
}

Result<std::string> FitMemory(Settings& settings, const std::optional<GroupMemory>& group) {
  if (!group) return std::string();
  const auto fits_mib = static_cast<std::int32_t>(
      std::clamp<std::int64_t>(group->limit_mib - kExecutorReserveMib, 0, settings.memory_mib));
  if (fits_mib == settings.memory_mib) return std::string();
  for (const Profile& profile : settings.profiles) {
    if (profile.memory_mib <= fits_mib) continue;
    return Fail(
        Code::kInvalid,
        fmt::format("the control group of this process allows {} MiB of memory: without {} MiB for the executor "
                    "itself, that is less than one machine of the profile '{}' ({} MiB). Allow it more, or make "
                    "memory_mib of the profile smaller",
                    group->limit_mib, kExecutorReserveMib, profile.name, profile.memory_mib));
  }
  const auto wanted_mib = std::exchange(settings.memory_mib, fits_mib);
  return fmt::format(
      "machines.memory_mib is {}, but the control group of this process allows {} MiB of memory: machines "
      "get {} MiB, and {} are left to the executor itself",
      wanted_mib, group->limit_mib, fits_mib, kExecutorReserveMib);
}

void FitProcessors(Settings& settings, std::int32_t processors) {
  if (settings.credit == 0) settings.credit = kCreditPerProcessor * processors;
  if (settings.waiting == 0) settings.waiting = std::max(kLeastWaiting, settings.credit / kWaitingOfCredit);
}

std::int32_t ReadOwnProcessors(GroupScope scope) {
  auto processors = static_cast<std::int32_t>(std::thread::hardware_concurrency());
  const auto groups = FindControlGroups(ReadFileText("/proc/self/cgroup"), ReadFileText("/proc/self/mountinfo"), scope);
  if (const auto group = ReadGroupCpu(groups, ReadFileText)) {
    processors = std::min(processors, static_cast<std::int32_t>(std::ceil(group->processors)));
  }
  return std::max(1, processors);
}

std::optional<GroupMemory> ReadOwnGroupMemory(GroupScope scope) {
  const auto groups = FindControlGroups(ReadFileText("/proc/self/cgroup"), ReadFileText("/proc/self/mountinfo"), scope);
  return ReadGroupMemory(groups, ReadFileText);
}

}  // namespace hearth::executor
