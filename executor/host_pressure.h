// How short the host is of memory and CPU, as Linux tells it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "executor/core/core.h"

namespace hearth::executor {

struct CpuTimes {
  std::uint64_t busy = 0;  // ticks since the host booted
  std::uint64_t all = 0;
};

// From the text of /proc/meminfo; nothing where MemAvailable is not in it.
std::optional<std::int32_t> ParseMemoryAvailableMib(std::string_view meminfo);
// From the first line of /proc/stat.
std::optional<CpuTimes> ParseCpuTimes(std::string_view stat);

class HostWatch {
 public:
  // What there is now, and how busy the processors were since the last call; nothing at the first call, or where the
  // host does not say.
  std::optional<HostPressure> Read();

 private:
  std::optional<CpuTimes> last_;
};

}  // namespace hearth::executor
