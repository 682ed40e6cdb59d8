// Child processes of a bench, what /proc says of any, and their HTTP pages. Blocks.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace hearth::bench {

// True once the bench was told to end (SIGINT or SIGTERM, which HoldSignals keeps from ending it at once).
void HoldSignals();
bool ToldToEnd();

// A program with its output in a log; ended with the object, or by the system where the bench itself is killed.
class Child {
 public:
  static Result<Child> Spawn(const std::vector<std::string>& command, const std::string& log);
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  ~Child();  // SIGTERM, and SIGKILL where that does not help within kStopWithin

  [[nodiscard]] pid_t pid() const { return pid_; }
  // The exit code where it has ended (128 + signal where a signal ended it).
  std::optional<int> Ended();
  // The same, once it has ended or the time is over. Blocks.
  std::optional<int> EndedWithin(std::chrono::milliseconds limit);
  // SIGKILL, and waits for its end.
  void Kill();
  [[nodiscard]] const std::string& log() const { return log_; }

 private:
  static constexpr std::chrono::seconds kStopWithin{60};
  Child(pid_t pid, std::string log) : pid_(pid), log_(std::move(log)) {}
  pid_t pid_ = -1;
  std::optional<int> ended_;
  std::string log_;
};

std::string ReadFile(const std::string& path);

// The answer's body; kUnavailable where nobody answers, or not with 200 (then with the body).
Result<std::string> HttpGet(int port, const std::string& path);
// Free now, on the loopback.
Result<int> FreePort();

// The first sample of the family with these labels in a page of Prometheus' text.
std::optional<double> FindMetric(std::string_view page, std::string_view family,
                                 const std::map<std::string, std::string>& labels);

struct Usage {
  double cpu_s = 0;  // user and system
  std::int64_t rss_kib = 0;
  std::int64_t peak_rss_kib = 0;  // the most that it has ever had
  std::int64_t pss_kib = 0;       // shared pages by the share of those who map them
  std::int64_t minor_faults = 0;
  std::int64_t major_faults = 0;
  std::int64_t waits = 0;        // context switches because a thread waited
  std::int64_t preemptions = 0;  // because another one's turn came; both of the threads that live
};
// kNotFound: no such process.
Result<Usage> ReadUsage(pid_t pid);
// The processes whose command line holds the text.
std::vector<pid_t> FindProcesses(std::string_view text);

}  // namespace hearth::bench
