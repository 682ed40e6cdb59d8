#include "tools/hearth/line_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace hearth::tool {
namespace {

constexpr std::size_t kReadBytes = 256U << 10;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::unexpected<Error> CannotRead(const std::string& name) {
  const Code code = errno == ENOENT || errno == ENOTDIR ? Code::kNotFound : Code::kUnavailable;
  return Fail(code, fmt::format("cannot read {}: {}", name, std::strerror(errno)));
}

ssize_t ReadSome(int fd, void* buffer, std::size_t bytes) {
  ssize_t got = 0;
  do {
    got = read(fd, buffer, bytes);
  } while (got < 0 && errno == EINTR);
  return got;
}

bool WriteAll(int fd, const char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t put = write(fd, bytes, size);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    bytes += put;
    size -= static_cast<std::size_t>(put);
  }
  return true;
}

// What `from` has left, in a file that nobody else sees and that is gone with its descriptor.
Result<Fd> Copy(int from, const std::string& name) {
  std::error_code no_folder;
  std::string path = (std::filesystem::temp_directory_path(no_folder) / "hearth-batch-XXXXXX").string();
  Fd copy(mkostemp(path.data(), O_CLOEXEC));
  if (!copy) return Fail(Code::kUnavailable, fmt::format("cannot copy {} to {}: {}", name, path, std::strerror(errno)));
  unlink(path.c_str());
  std::vector<char> buffer(kReadBytes);
  for (;;) {
    const ssize_t got = ReadSome(from, buffer.data(), buffer.size());
    if (got < 0) return CannotRead(name);
    if (got == 0) break;
    if (!WriteAll(copy.get(), buffer.data(), static_cast<std::size_t>(got))) {
      return Fail(Code::kUnavailable, fmt::format("cannot copy {} to {}: {}", name, path, std::strerror(errno)));
    }
  }
  if (lseek(copy.get(), 0, SEEK_SET) != 0) return CannotRead(name);
  return copy;
}

}  // namespace

Result<LineReader> LineReader::Open(const std::string& path) {
  const bool standard = path == "-";
  const std::string name = standard ? "standard input" : path;
  Fd fd(standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat kind{};
  if (!fd || fstat(fd.get(), &kind) != 0) return CannotRead(name);
  if (S_ISDIR(kind.st_mode)) return Fail(Code::kInvalid, name + " is a folder, not a file of items");
  // Of what the shell opened, somebody may have read a part; that part belongs to somebody else.
  if (!S_ISREG(kind.st_mode) || (standard && lseek(fd.get(), 0, SEEK_CUR) != 0)) {
    auto copy = Copy(fd.get(), name);
    if (!copy) return std::unexpected(copy.error());
    fd = std::move(*copy);
  }
  return LineReader(std::move(fd), name);
}

Result<bool> LineReader::Fill() {
  buffer_.resize(kReadBytes);
  begin_ = 0;
  const ssize_t got = ReadSome(fd_.get(), buffer_.data(), buffer_.size());
  end_ = got > 0 ? static_cast<std::size_t>(got) : 0;
  if (got < 0) return CannotRead(name_);
  return got > 0;
}

Result<bool> LineReader::Next(std::string& line, std::size_t most) {
  line.clear();
  had_end_ = false;
  std::size_t bytes = 0;
  while (!had_end_) {
    if (begin_ == end_) {
      const auto more = Fill();
      if (!more) return std::unexpected(more.error());
      if (!*more) break;
    }
    const char* const start = buffer_.data() + begin_;
    const auto* const newline = static_cast<const char*>(std::memchr(start, '\n', end_ - begin_));
    had_end_ = newline != nullptr;
    const std::size_t piece = had_end_ ? static_cast<std::size_t>(newline - start) : end_ - begin_;
    const std::size_t room = most + kByteOrderMark.size() - std::min(most + kByteOrderMark.size(), line.size());
    line.append(start, std::min(piece, room));
    bytes += piece;
    begin_ += piece + (had_end_ ? 1 : 0);
  }
  if (bytes == 0 && !had_end_) return false;
  if (++number_ == 1 && line.starts_with(kByteOrderMark)) {
    line.erase(0, kByteOrderMark.size());
    bytes -= kByteOrderMark.size();
  }
  if (bytes <= most) return true;
  line.clear();
  return FailAt(number_, Code::kExhausted, fmt::format("the line has {} bytes; the limit is {}", bytes, most));
}

Result<void> LineReader::Rewind() {
  if (lseek(fd_.get(), 0, SEEK_SET) != 0) return CannotRead(name_);
  begin_ = end_ = 0;
  number_ = 0;
  return {};
}

std::unexpected<Error> LineReader::FailAt(std::int64_t line, Code code, std::string_view message) const {
  return Fail(code, fmt::format("{}:{}: {}", name_, line, message));
}

}  // namespace hearth::tool
