#include "guest/agent/tar_unpacker.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "schemas/limits.h"

namespace hearth::guest {
namespace {

// Where the fields of a header lie: offset and size.
struct Field {
  std::size_t offset, size;
};
constexpr Field kName{0, 100}, kMode{100, 8}, kSize{124, 12}, kChecksum{148, 8}, kLink{157, 100}, kMagic{257, 5},
    kPrefix{345, 155};
constexpr std::size_t kType = 156;

std::string_view Text(const std::array<char, 512>& block, Field field) {
  const std::string_view raw(block.data() + field.offset, field.size);
  return raw.substr(0, std::min(raw.find('\0'), raw.size()));
}

Result<std::uint64_t> Octal(const std::array<char, 512>& block, Field field) {
  std::string_view text(block.data() + field.offset, field.size);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  std::uint64_t value = 0;
  std::size_t digits = 0;
  for (const char c : text) {
    if (c == '\0' || c == ' ') break;
    if (c < '0' || c > '7') return Fail(Code::kInvalid, "archive: a number is not octal");
    value = value * 8 + static_cast<std::uint64_t>(c - '0');
    ++digits;
  }
  if (digits > 12) return Fail(Code::kInvalid, "archive: a number is too long");
  return value;
}

// The parts of a relative path without "." parts; refuses "..", an absolute path and too many parts.
Result<std::vector<std::string>> SplitPath(std::string_view path) {
  if (path.starts_with('/')) return Fail(Code::kInvalid, "archive: an absolute path");
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (part.empty() || part == ".") continue;
    if (part == "..") return Fail(Code::kInvalid, "archive: a path with ..");
    parts.emplace_back(part);
  }
  if (parts.size() > kMaxCodePathParts) return Fail(Code::kInvalid, "archive: a path too deep");
  return parts;
}

// One step down, never through a symbolic link.
Fd OpenFolder(int parent, const std::string& name) {
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  return Fd(static_cast<int>(syscall(SYS_openat2, parent, name.c_str(), &how, sizeof how)));
}

Result<Fd> Walk(int root, const std::vector<std::string>& parts, std::size_t count) {
  Fd here(openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!here) return FailErrno("archive: open folder");
  for (std::size_t i = 0; i < count; ++i) {
    if (mkdirat(here.get(), parts[i].c_str(), 0755) != 0 && errno != EEXIST) return FailErrno("archive: mkdir");
    Fd next = OpenFolder(here.get(), parts[i]);
    if (!next) return FailErrno("archive: open folder");
    here = std::move(next);
  }
  return here;
}

}  // namespace

Result<int> TarUnpacker::OpenParent(std::string_view path, std::string& name, Fd& folder) {
  auto parts = SplitPath(path);
  if (!parts) return std::unexpected(parts.error());
  if (parts->empty()) return Fail(Code::kInvalid, "archive: an entry without a name");
  name = parts->back();
  if (parts->size() == 1) return folder_.get();
  auto walked = Walk(folder_.get(), *parts, parts->size() - 1);
  if (!walked) return std::unexpected(walked.error());
  folder = std::move(*walked);
  return folder.get();
}

Result<void> TarUnpacker::MakeFolder(std::string_view path) {
  auto parts = SplitPath(path);
  if (!parts) return std::unexpected(parts.error());
  auto folder = Walk(folder_.get(), *parts, parts->size());
  if (!folder) return std::unexpected(folder.error());
  return {};
}

Result<void> TarUnpacker::Header() {
  if (std::ranges::all_of(block_, [](char c) { return c == '\0'; })) {
    if (++zero_blocks_ == 2) state_ = State::kEnd;
    return {};
  }
  if (zero_blocks_ != 0) return Fail(Code::kInvalid, "archive: an entry after the end mark");
  const auto declared = Octal(block_, kChecksum);
  if (!declared) return std::unexpected(declared.error());
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < block_.size(); ++i) {
    const bool in_checksum = i >= kChecksum.offset && i < kChecksum.offset + kChecksum.size;
    sum += in_checksum ? std::uint64_t{' '} : std::uint64_t{static_cast<unsigned char>(block_[i])};
  }
  if (sum != *declared || Text(block_, kMagic) != "ustar") return Fail(Code::kInvalid, "archive: not ustar");
  if (++entries_ > kMaxCodeEntries) return Fail(Code::kExhausted, "archive: too many entries");

  const auto size = Octal(block_, kSize);
  const auto mode = Octal(block_, kMode);
  if (!size) return std::unexpected(size.error());
  if (!mode) return std::unexpected(mode.error());
  if (*size > kMaxCodeBytes) return Fail(Code::kExhausted, "archive: a file above the limit");
  std::string path(Text(block_, kPrefix));
  if (!path.empty()) path += '/';
  path += Text(block_, kName);

  std::string name;
  Fd folder;
  switch (block_[kType]) {
    case '5': return MakeFolder(path);
    case '2': {
      const auto parent = OpenParent(path, name, folder);
      if (!parent) return std::unexpected(parent.error());
      unlinkat(*parent, name.c_str(), 0);
      const std::string target(Text(block_, kLink));
      if (symlinkat(target.c_str(), *parent, name.c_str()) != 0) return FailErrno("archive: symlink");
      return {};
    }
    case '0':
    case '\0': {
      const auto parent = OpenParent(path, name, folder);
      if (!parent) return std::unexpected(parent.error());
      const mode_t bits = (*mode & 0111) != 0 ? 0555 : 0444;
      constexpr int kNew = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
      int file = openat(*parent, name.c_str(), kNew, bits);
      if (file < 0 && errno == EEXIST && unlinkat(*parent, name.c_str(), 0) == 0)
        file = openat(*parent, name.c_str(), kNew, bits);
      file_.Reset(file);
      if (!file_) return FailErrno("archive: create file");
      left_ = *size;
      padding_ = static_cast<std::size_t>((512 - *size % 512) % 512);
      state_ = left_ != 0 ? State::kData : State::kHeader;
      if (left_ == 0) file_.Reset();
      return {};
    }
    default: return Fail(Code::kInvalid, "archive: only files, folders and symbolic links are allowed");
  }
}

Result<void> TarUnpacker::Feed(std::string_view bytes) {
  while (!bytes.empty()) {
    switch (state_) {
      case State::kHeader: {
        const std::size_t take = std::min(bytes.size(), block_.size() - block_bytes_);
        std::memcpy(block_.data() + block_bytes_, bytes.data(), take);
        block_bytes_ += take;
        bytes.remove_prefix(take);
        if (block_bytes_ == block_.size()) {
          block_bytes_ = 0;
          if (auto done = Header(); !done) return done;
        }
        break;
      }
      case State::kData: {
        const std::string_view part =
            bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), left_)));
        const ssize_t n = write(file_.get(), part.data(), part.size());
        if (n <= 0) return FailErrno("archive: write");
        bytes.remove_prefix(static_cast<std::size_t>(n));
        left_ -= static_cast<std::uint64_t>(n);
        if (left_ == 0) {
          file_.Reset();
          state_ = padding_ != 0 ? State::kPadding : State::kHeader;
        }
        break;
      }
      case State::kPadding: {
        const std::size_t take = std::min(bytes.size(), padding_);
        bytes.remove_prefix(take);
        padding_ -= take;
        if (padding_ == 0) state_ = State::kHeader;
        break;
      }
      case State::kEnd: return {};  // writers fill the last record; what follows means nothing
    }
  }
  return {};
}

Result<void> TarUnpacker::Finish() {
  if (state_ != State::kEnd) return Fail(Code::kInvalid, "archive: cut short");
  return {};
}

}  // namespace hearth::guest
