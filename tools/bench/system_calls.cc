#include "tools/bench/system_calls.h"

#include <signal.h>

#include <chrono>
#include <filesystem>
#include <iterator>
#include <optional>
#include <sstream>
#include <string_view>
#include <thread>
#include <utility>

#include "common/base/time.h"

namespace hearth::bench {
namespace {

constexpr std::int64_t kAttachMs = 10'000;
constexpr std::chrono::seconds kEndWithin{20};
constexpr std::chrono::milliseconds kLookAgain{20};

// Whether every thread of the process is traced.
bool IsTraced(pid_t pid) {
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", error)) {
    if (ReadFile(task.path().string() + "/status").find("TracerPid:\t0\n") != std::string::npos) return false;
  }
  return !error;
}

}  // namespace

std::optional<std::int64_t> TotalCalls(std::string_view table) {
  std::istringstream lines{std::string(table)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    // % time, seconds, usecs/call, calls, errors where there were some, and the name.
    const std::vector<std::string> cells{std::istream_iterator<std::string>(words), {}};
    constexpr std::size_t kCalls = 3;
    if (cells.size() > kCalls + 1 && cells.back() == "total") return std::strtoll(cells[kCalls].c_str(), nullptr, 10);
  }
  return std::nullopt;
}

Result<std::unique_ptr<SystemCalls>> SystemCalls::Begin(const std::vector<pid_t>& pids, const std::string& folder) {
  auto calls = std::unique_ptr<SystemCalls>(new SystemCalls());
  for (const pid_t pid : pids) {
    const std::string table = folder + "/strace-" + std::to_string(pid);
    auto child = Child::Spawn({"strace", "-f", "-c", "-o", table, "-p", std::to_string(pid)}, table + ".log");
    if (!child) return std::unexpected(child.error());
    calls->tracers_.push_back({std::move(*child), table});
    Tracer& tracer = calls->tracers_.back();
    const std::int64_t end_us = ReadClocks().mono_us + kAttachMs * kMicrosPerMilli;
    while (!IsTraced(pid)) {
      if (tracer.child.Ended() || ReadClocks().mono_us > end_us) {
        const std::string said = ReadFile(tracer.child.log());
        return Fail(Code::kUnavailable, said.empty() ? "there is no strace" : said.substr(0, said.find('\n')));
      }
      std::this_thread::sleep_for(kLookAgain);
    }
  }
  return calls;
}

Result<std::vector<std::int64_t>> SystemCalls::End() {
  std::vector<std::int64_t> counts;
  for (const auto& tracer : tracers_) kill(tracer.child.pid(), SIGINT);
  for (auto& tracer : tracers_) {
    if (!tracer.child.EndedWithin(kEndWithin)) return Fail(Code::kDeadline, "strace does not end");
    const auto total = TotalCalls(ReadFile(tracer.table));
    if (!total) return Fail(Code::kInternal, "strace has written no table");
    counts.push_back(*total);
  }
  return counts;
}

}  // namespace hearth::bench
