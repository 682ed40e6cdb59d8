// What differs between a terminal and a pipe: the end of an output, and telling what is waited for.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace hearth::tool {

constexpr std::int64_t kPatienceMs = 1000;   // what takes longer is told
constexpr std::int64_t kLineEveryMs = 3000;  // of what goes on for long, where there is no terminal

// The bytes as they are; on a terminal with a newline behind them where they end in none.
void WriteOutput(std::FILE* to, std::string_view output);

// "waiting for the reply of hello (3 s): no dispatcher is there". Pure.
std::string ProgressText(std::string_view what, std::int64_t seconds, std::string_view note);
// So much of it as fits into `columns`, without half a letter. Pure.
std::string FitLine(std::string_view text, std::size_t columns);

// One line of a terminal that is drawn over and over, for whoever does not block. One thread.
class LiveLine {
 public:
  explicit LiveLine(std::FILE* terminal) : to_(terminal) {}
  ~LiveLine() { Clear(); }
  LiveLine(const LiveLine&) = delete;
  LiveLine& operator=(const LiveLine&) = delete;

  // So much of the text as fits into the line.
  void Draw(std::string_view text);
  void Clear();

 private:
  std::FILE* to_;
  std::string drawn_;
};

// Tells what a command waits for, once that has taken a second. On a terminal it is one line that changes and vanishes;
// elsewhere each thing that is waited for gets a line of its own. It draws on a thread of its own, because what is
// waited for blocks.
class Progress {
 public:
  enum class Kind : std::uint8_t { kSilent, kLines, kTerminal };
  Progress(std::FILE* to, Kind kind, std::int64_t patience_ms = kPatienceMs);
  ~Progress() { Stop(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // What is being done from now on.
  void Say(std::string what);
  // What is known about why it takes so long; empty: nothing.
  void Note(std::string note);
  [[nodiscard]] Kind kind() const { return kind_; }
  // Nothing more is drawn, and the terminal's line is empty again. Before anything else is printed.
  void Stop();
  // Stops while something else is printed, and goes on with the next Say.
  void Pause();

 private:
  void Run(const std::stop_token& stop);
  void Draw();

  std::FILE* to_;
  Kind kind_;
  std::int64_t patience_ms_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::string what_;  // empty: nothing is told
  std::string note_;
  std::int64_t since_us_ = 0;
  std::string told_;  // the last line, without its seconds
  bool drawn_ = false;
  std::jthread thread_;  // last: it ends before the others go
};

// How much of something is done, as a note: on a terminal as often as it is told, elsewhere once a while.
class ProgressCount {
 public:
  explicit ProgressCount(Progress& progress) : progress_(progress) {}
  void Note(std::int64_t done, std::int64_t all);

 private:
  Progress& progress_;
  std::int64_t noted_us_ = 0;
};

}  // namespace hearth::tool
