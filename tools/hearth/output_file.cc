#include "tools/hearth/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

namespace hearth::tool {
namespace {

constexpr std::size_t kBufferBytes = 1 << 20;
constexpr mode_t kMode = 0666;  // less the process's mask

}  // namespace

Result<OutputFile> OutputFile::Create(const std::string& path) {
  if (path == "-") return OutputFile(Fd(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)), "the standard output", "");
  struct stat there{};
  if (stat(path.c_str(), &there) == 0 && !S_ISREG(there.st_mode)) {
    Fd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd) return Fail(Code::kInvalid, fmt::format("cannot write {}: {}", path, std::strerror(errno)));
    return OutputFile(std::move(fd), path, "");
  }
  const std::string temporary = fmt::format("{}.{:08x}.tmp", path, std::random_device()());
  Fd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kMode));
  if (!fd) return Fail(Code::kInvalid, fmt::format("cannot write {}: {}", path, std::strerror(errno)));
  return OutputFile(std::move(fd), path, temporary);
}

Result<void> OutputFile::Check(const std::string& path) {
  struct stat there{};
  const bool is_written_into = path == "-" || (stat(path.c_str(), &there) == 0 && !S_ISREG(there.st_mode));
  if (is_written_into && !S_ISDIR(there.st_mode)) return {};  // to open a pipe could take for ever
  const auto made = Create(path);
  return made ? Result<void>() : std::unexpected(made.error());
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : fd_(std::move(other.fd_)),
      path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      buffer_(std::move(other.buffer_)),
      is_done_(std::exchange(other.is_done_, true)) {}

std::unexpected<Error> OutputFile::Failed(int error) const {
  return Fail(Code::kInvalid, fmt::format("cannot write {}: {}", path_, std::strerror(error)));
}

Result<void> OutputFile::Write(std::string_view bytes) {
  buffer_ += bytes;
  return buffer_.size() < kBufferBytes ? Result<void>() : Flush();
}

Result<void> OutputFile::Flush() {
  std::string_view left = buffer_;
  while (!left.empty()) {
    const auto written = write(fd_.get(), left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Failed(errno);
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  buffer_.clear();
  return {};
}

Result<void> OutputFile::Finish() {
  if (auto flushed = Flush(); !flushed) return flushed;
  // Some file systems tell only here that there was no room.
  if (!temporary_.empty() && fsync(fd_.get()) != 0) return Failed(errno);
  if (close(fd_.Release()) != 0) return Failed(errno);
  return {};
}

Result<void> OutputFile::Commit() {
  if (!temporary_.empty() && rename(temporary_.c_str(), path_.c_str()) != 0) return Failed(errno);
  is_done_ = true;
  return {};
}

void OutputFile::Abandon() {
  if (!is_done_ && !temporary_.empty()) unlink(temporary_.c_str());
}

}  // namespace hearth::tool
