#include "executor/machines/memory_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string_view>
#include <system_error>
#include <vector>

#include "common/base/sha256.h"

namespace hearth::executor {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kBlock = 1U << 20;  // a multiple of the page
constexpr int kHeld = 3;                  // the descriptor's number in the keeper
constexpr const char* kKeeperProgram = "/bin/cat";
constexpr int kSeals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

std::unexpected<Error> Errno(const std::string& what) {
  return Fail(Code::kUnavailable, fmt::format("{}: {}", what, std::generic_category().message(errno)));
}

bool IsZero(std::string_view page) {
  return page[0] == 0 && std::memcmp(page.data(), page.data() + 1, page.size() - 1) == 0;
}

// Calls `take(offset, bytes)` for each page with anything in it, in order. The last may be shorter.
Result<void> ForEachPage(int descriptor, const std::function<Result<void>(std::int64_t, std::string_view)>& take) {
  std::vector<char> block(kBlock);
  std::int64_t at = 0;
  for (;;) {
    at = lseek(descriptor, at, SEEK_DATA);
    if (at < 0 && errno == ENXIO) return {};  // nothing but a hole is left
    if (at < 0) return Errno("seek");
    at -= at % static_cast<std::int64_t>(kPage);
    const ssize_t n = pread(descriptor, block.data(), block.size(), at);
    if (n < 0) return Errno("read");
    if (n == 0) return {};
    for (std::size_t from = 0; from < static_cast<std::size_t>(n); from += kPage) {
      const std::string_view page(block.data() + from, std::min(kPage, static_cast<std::size_t>(n) - from));
      if (IsZero(page)) continue;
      if (auto taken = take(at + static_cast<std::int64_t>(from), page); !taken) return taken;
    }
    at += n;
  }
}

Result<void> Copy(int from, int to) {
  return ForEachPage(from, [to](std::int64_t offset, std::string_view page) -> Result<void> {
    if (pwrite(to, page.data(), page.size(), offset) != static_cast<ssize_t>(page.size())) return Errno("write");
    return {};
  });
}

std::int64_t SizeOf(int descriptor) {
  struct stat status{};
  return fstat(descriptor, &status) == 0 ? status.st_size : 0;
}

}  // namespace

Result<MemoryFile> MemoryFile::Create(const std::string& label, std::int64_t bytes) {
  Fd descriptor(memfd_create(label.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!descriptor) return Errno("memfd_create");
  // QEMU opens it for writing even where it only keeps private copies; the seals are what protects it.
  if (fchmod(descriptor.get(), 0666) != 0 || ftruncate(descriptor.get(), bytes) != 0) return Errno("memory file");
  return MemoryFile(std::move(descriptor));
}

Result<MemoryFile> MemoryFile::ReadFrom(const std::string& path, std::int64_t most_bytes) {
  const Fd source(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!source) return Errno("open " + path);
  const std::int64_t bytes = SizeOf(source.get());
  if (bytes > most_bytes) return Fail(Code::kExhausted, fmt::format("{}: larger than {} bytes", path, most_bytes));
  auto file = Create("hearth-saved", bytes);
  if (!file) return file;
  if (auto copied = Copy(source.get(), file->descriptor()); !copied) return FailWith(path, copied.error());
  return file;
}

Result<void> MemoryFile::Seal() {
  if (fcntl(descriptor_.get(), F_ADD_SEALS, kSeals) != 0) return Errno("seal");
  return {};
}

Result<std::string> MemoryFile::Hash() const {
  Sha256 digest;
  digest.Update(fmt::format("{}\n", bytes()));
  auto read = ForEachPage(descriptor_.get(), [&digest](std::int64_t offset, std::string_view page) -> Result<void> {
    digest.Update(fmt::format("{}\n", offset));
    digest.Update(page);
    return {};
  });
  if (!read) return std::unexpected(read.error());
  return digest.FinishHex();
}

Result<void> MemoryFile::WriteTo(const std::string& path) const {
  const std::string beside = path + ".new";
  unlink(beside.c_str());
  const Fd target(open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!target) return Errno("create " + beside);
  auto written = Copy(descriptor_.get(), target.get());
  if (written && ftruncate(target.get(), bytes()) != 0) written = Errno("truncate");
  if (written && rename(beside.c_str(), path.c_str()) != 0) written = Errno("rename");
  if (!written) {
    unlink(beside.c_str());
    return FailWith(path, written.error());
  }
  return {};
}

Result<Fd> MemoryFile::Reopen() const {
  Fd descriptor(open(fmt::format("/proc/self/fd/{}", descriptor_.get()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!descriptor) return Errno("reopen");
  return descriptor;
}

std::int64_t MemoryFile::bytes() const {
  return SizeOf(descriptor_.get());
}

Result<std::unique_ptr<MemoryKeeper>> MemoryKeeper::Start(int descriptor,
                                                          const std::optional<MachineAccount>& account) {
  std::array<int, 2> life{};
  std::array<int, 2> outcome{};
  if (pipe2(life.data(), O_CLOEXEC) != 0) return Errno("pipe");
  const Fd life_theirs(life[0]);
  Fd life_ours(life[1]);
  if (pipe2(outcome.data(), O_CLOEXEC) != 0) return Errno("pipe");
  const Fd outcome_ours(outcome[0]);
  Fd outcome_theirs(outcome[1]);
  const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  // Not fork(): handlers that libraries registered for it are not ours to run.
  const pid_t pid = _Fork();
  if (pid < 0) return Errno("fork");
  if (pid == 0) {
    // Only system calls from here on. High numbers first: any of these could be one that is overwritten.
    const int held = fcntl(descriptor, F_DUPFD, 10);
    const int input = fcntl(life_theirs.get(), F_DUPFD, 10);
    const int report = fcntl(outcome_theirs.get(), F_DUPFD_CLOEXEC, 10);
    const int output = fcntl(null.get(), F_DUPFD, 10);
    bool done = dup2(input, 0) == 0 && dup2(output, 1) == 1 && dup2(output, 2) == 2 && dup2(held, kHeld) == kHeld;
    if (report != 4) done = done && dup3(report, 4, O_CLOEXEC) == 4;
    done = done && close_range(5, ~0U, 0) == 0 && chdir("/") == 0;
    if (account) {
      done = done && syscall(SYS_setgroups, 0, nullptr) == 0 &&
             syscall(SYS_setresgid, account->gid, account->gid, account->gid) == 0 &&
             syscall(SYS_setresuid, account->uid, account->uid, account->uid) == 0;
    }
    char name[] = "cat";
    char* const arguments[] = {name, nullptr};
    char* const environment[] = {nullptr};
    if (done) execve(kKeeperProgram, arguments, environment);
    const int error = errno;
    (void)!write(4, &error, sizeof error);
    _exit(127);
  }
  outcome_theirs.Reset();
  auto keeper = std::unique_ptr<MemoryKeeper>(new MemoryKeeper(pid, std::move(life_ours)));
  int error = 0;
  ssize_t n = 0;
  do n = read(outcome_ours.get(), &error, sizeof error);
  while (n < 0 && errno == EINTR);
  if (n != 0) {
    return Fail(Code::kUnavailable,
                fmt::format("cannot start {} as keeper: {}", kKeeperProgram, std::generic_category().message(error)));
  }
  return keeper;
}

MemoryKeeper::~MemoryKeeper() {
  life_.Reset();
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {}
}

std::string MemoryKeeper::path() const {
  return fmt::format("/proc/{}/fd/{}", pid_, kHeld);
}

}  // namespace hearth::executor
