// How short this process is of memory and CPU, as Linux tells it: of the host's, or of what its control group allows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/result.h"
#include "executor/control_groups.h"
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

// The file's content, empty where it cannot be read.
std::string ReadFileText(const std::string& path);

class HostWatch {
 public:
  explicit HostWatch(GroupScope scope, FileText text = ReadFileText) : scope_(scope), text_(std::move(text)) {}
  // What there is now, and how busy the processors were since the last call; nothing at the first call, or where the
  // host does not say.
  std::optional<HostPressure> Read(std::int64_t now_us);

 private:
  std::int32_t GroupBusyPpm(const ControlGroups& groups, std::int64_t now_us);

  const GroupScope scope_;
  const FileText text_;
  std::optional<CpuTimes> last_;
  std::optional<GroupCpu> last_group_;
  std::int64_t last_us_ = 0;
};

// What the executor itself and the QEMU processes around machines take of a control group's memory.
constexpr std::int32_t kExecutorReserveMib = 512;
// Lets machines have no more than the group allows. What was changed, in words for the log, or nothing. kInvalid: a
// profile's machine would never fit.
Result<std::string> FitMemory(Settings& settings, const std::optional<GroupMemory>& group);
// What the configuration leaves open follows from the processors.
constexpr std::int32_t kCreditPerProcessor = 16;
constexpr std::int32_t kWaitingOfCredit = 4;  // credit ÷ this
constexpr std::int32_t kLeastWaiting = 8;
void FitProcessors(Settings& settings, std::int32_t processors);
// That this process may use: of the host, as far as its affinity and the quota of its control group go; at least one.
std::int32_t ReadOwnProcessors(GroupScope scope);

// Of this process.
std::optional<GroupMemory> ReadOwnGroupMemory(GroupScope scope);

}  // namespace hearth::executor
