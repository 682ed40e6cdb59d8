#include "tools/hearth/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/text.h"
#include "common/base/time.h"

namespace hearth::tool {
namespace {

constexpr std::size_t kDefaultColumns = 80;
constexpr std::string_view kEmptyLine = "\r\x1b[K";

std::size_t ColumnsOf(std::FILE* terminal) {
  winsize size{};
  if (ioctl(fileno(terminal), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kDefaultColumns;
  return size.ws_col;
}

void Put(std::FILE* to, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), to);
  std::fflush(to);
}

}  // namespace

void WriteOutput(std::FILE* to, std::string_view output) {
  std::fwrite(output.data(), 1, output.size(), to);
  if (!output.empty() && output.back() != '\n' && isatty(fileno(to)) != 0) std::fputc('\n', to);
  std::fflush(to);
}

std::string ProgressText(std::string_view what, std::int64_t seconds, std::string_view note) {
  const std::string time = seconds > 0 ? fmt::format(" ({} s)", seconds) : "";
  return fmt::format("{}{}{}{}", what, time, note.empty() ? "" : ": ", note);
}

std::string FitLine(std::string_view text, std::size_t columns) {
  std::size_t letters = 0;
  std::size_t end = 0;
  while (end < text.size() && letters < columns) {
    end += std::max<std::size_t>(1, FirstLetter(text.substr(end)).bytes);
    ++letters;
  }
  return std::string(text.substr(0, end));
}

void LiveLine::Draw(std::string_view text) {
  std::string line = FitLine(EscapeControls(text), ColumnsOf(to_) - 1);
  if (line == drawn_) return;
  drawn_ = std::move(line);
  Put(to_, std::string(kEmptyLine) + drawn_);
}

void LiveLine::Clear() {
  if (!std::exchange(drawn_, "").empty()) Put(to_, kEmptyLine);
}

Progress::Progress(std::FILE* to, Kind kind, std::int64_t patience_ms)
    : to_(to), kind_(kind), patience_ms_(patience_ms) {
  if (kind_ != Kind::kSilent) thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
}

void Progress::Say(std::string what) {
  const std::scoped_lock lock(mutex_);
  since_us_ = ReadClocks().mono_us;
  what_ = std::move(what);
  note_.clear();
  changed_.notify_all();
}

void Progress::Note(std::string note) {
  const std::scoped_lock lock(mutex_);
  note_ = std::move(note);
}

void Progress::Stop() {
  if (thread_.joinable()) {
    thread_.request_stop();
    thread_.join();
  }
  Pause();
}

void Progress::Pause() {
  const std::scoped_lock lock(mutex_);
  what_.clear();
  if (std::exchange(drawn_, false)) Put(to_, kEmptyLine);
}

void Progress::Run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    changed_.wait(lock, stop, [&] { return !what_.empty(); });
    // Nobody is told anything in the first moments, whatever happens in them.
    changed_.wait_for(lock, stop, std::chrono::milliseconds(patience_ms_), [] { return false; });
    if (!stop.stop_requested() && !what_.empty()) Draw();
  }
}

void Progress::Draw() {
  const std::int64_t seconds = (ReadClocks().mono_us - since_us_) / kMicrosPerSecond;
  const std::string text = EscapeControls(ProgressText(what_, seconds, note_));
  if (kind_ == Kind::kTerminal) {
    Put(to_, std::string(kEmptyLine) + FitLine(text, ColumnsOf(to_) - 1));
    drawn_ = true;
    return;
  }
  std::string now = what_ + "\n" + note_;
  if (now == told_) return;
  told_ = std::move(now);
  Put(to_, "hearth: " + text + "\n");
}

void ProgressCount::Note(std::int64_t done, std::int64_t all) {
  const std::int64_t now_us = ReadClocks().mono_us;
  const bool is_drawn = progress_.kind() == Progress::Kind::kTerminal;
  if (!is_drawn && now_us - noted_us_ < kLineEveryMs * kMicrosPerMilli) return;
  noted_us_ = now_us;
  progress_.Note(fmt::format("{}/{}", done, all));
}

}  // namespace hearth::tool
