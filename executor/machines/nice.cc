#include "executor/machines/nice.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>
#include <thread>

namespace hearth::executor {
namespace {

namespace fs = std::filesystem;

// A thread that is made meanwhile has the value of the one that made it, old or new: a pass that finds nobody to raise
// is the last.
constexpr int kMaxPasses = 16;

Result<bool> RaiseOnce(const fs::path& tasks, std::int32_t nice) {
  bool raised = false;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(tasks, error)) {
    const std::string name = entry.path().filename();
    id_t thread = 0;
    std::from_chars(name.data(), name.data() + name.size(), thread);
    errno = 0;
    const int now = getpriority(PRIO_PROCESS, thread);
    if (errno != 0 || now >= nice) continue;  // it has ended, or has the value
    if (setpriority(PRIO_PROCESS, thread, nice) == 0) {
      raised = true;
    } else if (errno != ESRCH) {
      return Fail(Code::kUnavailable, fmt::format("setpriority: {}", std::generic_category().message(errno)));
    }
  }
  if (error) return Fail(Code::kNotFound, fmt::format("{}: {}", tasks.string(), error.message()));
  return raised;
}

void RaiseSession(pid_t process, std::int32_t nice) {
  const std::string file = fmt::format("/proc/{}/autogroup", process);
  for (int waited = 0; waited < kMaxSessionWaits; ++waited) {
    errno = 0;
    std::ofstream out(file, std::ios::in | std::ios::out);  // never made where it is not there
    out << nice << std::flush;
    if (out || errno != EAGAIN) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(kSessionWaitMs));
  }
}

}  // namespace

Result<void> RaiseNice(pid_t process, std::int32_t by) {
  const std::int32_t nice = std::min(kMaxNice, getpriority(PRIO_PROCESS, 0) + by);
  const fs::path tasks = fmt::format("/proc/{}/task", process);
  for (int pass = 0; pass < kMaxPasses; ++pass) {
    const auto raised = RaiseOnce(tasks, nice);
    if (!raised) return std::unexpected(raised.error());
    if (!*raised) break;
  }
  RaiseSession(process, by);
  return {};
}

std::string ProcessorGroupOf(pid_t process) {
  std::ifstream groups(fmt::format("/proc/{}/cgroup", process));
  std::string unified;
  for (std::string line; std::getline(groups, line);) {  // NUMBER:CONTROLLERS:PATH
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    if (controllers.find(",cpu,") != std::string::npos) return line.substr(second + 1);
    if (controllers == ",,") unified = line.substr(second + 1);
  }
  return unified;
}

}  // namespace hearth::executor
