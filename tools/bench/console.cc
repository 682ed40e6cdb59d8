#include "tools/bench/console.h"

#include <chrono>
#include <utility>

#include "common/base/time.h"
#include "tools/bench/processes.h"

namespace hearth::bench {

ConsoleWatch::ConsoleWatch(std::string file, std::vector<Milestone> milestones, std::function<std::int64_t()> count)
    : file_(std::move(file)),
      milestones_(std::move(milestones)),
      count_(std::move(count)),
      thread_([this] { Run(); }) {}

ConsoleWatch::~ConsoleWatch() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

std::vector<Milestone> ConsoleWatch::Finish() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
  return milestones_;
}

void ConsoleWatch::Run() {
  constexpr std::chrono::milliseconds kLookAgain{1};
  std::size_t next = 0;
  while (!stop_ && next < milestones_.size()) {
    const std::string text = ReadFile(file_);
    while (next < milestones_.size() && text.find(milestones_[next].marker) != std::string::npos) {
      milestones_[next].at_us = ReadClocks().mono_us;
      if (count_) milestones_[next].instructions = count_();
      ++next;
    }
    std::this_thread::sleep_for(kLookAgain);
  }
}

}  // namespace hearth::bench
