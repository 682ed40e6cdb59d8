// When the lines of a guest's kernel log come: the log is a file that QEMU writes (MachineOptions::console).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace hearth::bench {

struct Milestone {
  std::string name;        // for people
  std::string marker;      // a text in the line
  std::int64_t at_us = 0;  // CLOCK_MONOTONIC of the host; 0: did not come
  std::int64_t instructions = 0;
};

// Follows the file with a thread of its own until it is destroyed.
class ConsoleWatch {
 public:
  // `count` (may be empty) is asked for the guest's instructions at each milestone, on the thread.
  ConsoleWatch(std::string file, std::vector<Milestone> milestones, std::function<std::int64_t()> count);
  ~ConsoleWatch();
  ConsoleWatch(const ConsoleWatch&) = delete;
  ConsoleWatch& operator=(const ConsoleWatch&) = delete;
  // Ends the thread; what has come.
  std::vector<Milestone> Finish();

 private:
  void Run();
  const std::string file_;
  std::vector<Milestone> milestones_;  // the thread's until it has ended
  const std::function<std::int64_t()> count_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace hearth::bench
