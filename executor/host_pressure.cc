#include "executor/host_pressure.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

namespace hearth::executor {
namespace {

constexpr std::int64_t kPpm = 1'000'000;

std::string ReadText(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

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

std::optional<HostPressure> HostWatch::Read() {
  const auto memory_mib = ParseMemoryAvailableMib(ReadText("/proc/meminfo"));
  const auto times = ParseCpuTimes(ReadText("/proc/stat"));
  const auto before = std::exchange(last_, times);
  if (!memory_mib || !times || !before || times->all <= before->all) return std::nullopt;
  const auto busy = times->busy >= before->busy ? times->busy - before->busy : 0;
  const auto busy_ppm = static_cast<std::int64_t>(busy * kPpm / (times->all - before->all));
  return HostPressure{*memory_mib, static_cast<std::int32_t>(std::min(busy_ppm, kPpm))};
}

}  // namespace hearth::executor
