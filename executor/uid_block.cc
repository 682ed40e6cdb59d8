#include "executor/uid_block.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

namespace hearth::executor {
namespace {

namespace fs = std::filesystem;

std::uint32_t Fnv1a(const std::string& text) {
  std::uint32_t hash = 2166136261U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}

// The folder is made, or it is this account's own and nobody else writes into it.
Result<void> OpenFolder(const std::string& path) {
  struct stat about{};
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return Fail(Code::kUnavailable, fmt::format("cannot make {}: {}", path, std::generic_category().message(errno)));
  }
  if (lstat(path.c_str(), &about) != 0 || !S_ISDIR(about.st_mode) || about.st_uid != geteuid() ||
      (about.st_mode & 0022) != 0) {
    return Fail(Code::kUnavailable, path + " is not a folder of this account's alone");
  }
  return {};
}

// The lock of a file that still stands under its name; none: another executor has it.
std::optional<Fd> Lock(const std::string& file) {
  Fd lock(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  struct stat held{};
  struct stat named{};
  if (!lock || flock(lock.get(), LOCK_EX | LOCK_NB) != 0 || fstat(lock.get(), &held) != 0) return std::nullopt;
  if (stat(file.c_str(), &named) != 0 || named.st_ino != held.st_ino) return std::nullopt;  // given back meanwhile
  return lock;
}

// The blocks under whose accounts something runs.
std::set<std::uint32_t> BlocksInUse(const std::string& processes) {
  std::set<std::uint32_t> blocks;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(processes, error)) {
    struct stat about{};
    if (stat(entry.path().c_str(), &about) != 0 || about.st_uid < kFirstUid) continue;
    const std::uint32_t block = (about.st_uid - kFirstUid) / kAccountsOfExecutor;
    if (block < kUidBlocks) blocks.insert(block);
  }
  return blocks;
}

// A lock's file names who took the block last, so that it is known after an executor was killed.
bool NamesOwner(const Fd& lock, const std::string& owner) {
  std::string named(owner.size() + 1, '\0');
  return pread(lock.get(), named.data(), named.size(), 0) == static_cast<ssize_t>(owner.size()) &&
         named.starts_with(owner);
}

bool NameOwner(const Fd& lock, const std::string& owner) {
  return ftruncate(lock.get(), 0) == 0 &&
         pwrite(lock.get(), owner.data(), owner.size(), 0) == static_cast<ssize_t>(owner.size());
}

std::optional<std::uint32_t> Remembered(const std::string& file) {
  std::uint32_t number = 0;
  if (std::ifstream in(file); in >> number && number < kUidBlocks) return number;
  return std::nullopt;
}

constexpr int kClaims = 10;
constexpr std::uint32_t kNoGroup = 65534;

}  // namespace

Result<UidBlock> UidBlock::Claim(const ExecutorId& executor, const Places& places) {
  for (int i = 1;; ++i) {
    auto claimed = Try(executor, places);
    // Without the folder: whoever gave the last block back took it away.
    if (claimed || i == kClaims || fs::exists(places.locks)) return claimed;
  }
}

Result<UidBlock> UidBlock::Try(const ExecutorId& executor, const Places& places) {
  if (auto opened = OpenFolder(places.locks); !opened) return std::unexpected(opened.error());
  const auto name = [&](std::uint32_t number) { return fmt::format("{}/{}", places.locks, number); };
  const std::string memory = places.state_dir + "/uid-block";
  const std::string owner = fs::absolute(places.state_dir).string();
  const auto in_use = BlocksInUse(places.processes);
  if (const auto last = Remembered(memory)) {
    auto lock = Lock(name(*last));
    // What runs there may be another executor's, which had the block since and was killed.
    if (lock && (NamesOwner(*lock, owner) || (!in_use.contains(*last) && NameOwner(*lock, owner)))) {
      return UidBlock(name(*last), std::move(*lock), *last);
    }
  }
  for (std::uint32_t i = 0; i < kUidBlocks; ++i) {
    const std::uint32_t number = (Fnv1a(executor.value) + i) % kUidBlocks;
    if (in_use.contains(number)) continue;
    auto lock = Lock(name(number));
    if (!lock || !NameOwner(*lock, owner)) continue;
    UidBlock block(name(number), std::move(*lock), number);
    // Best effort: without it the next life takes another block, unless machines run under this one.
    std::ofstream(memory, std::ios::trunc) << number << '\n';
    return block;
  }
  return Fail(Code::kUnavailable, "no block of accounts for machines is free on this host");
}

MachineAccount UidBlock::first_account() const {
  struct stat device{};
  if (stat("/dev/kvm", &device) == 0 && device.st_gid != 0) return {first_uid(), device.st_gid};
  // Called once, before there are threads that could call it too.
  const group* kvm = getgrnam("kvm");  // NOLINT(concurrency-mt-unsafe)
  return {first_uid(), kvm != nullptr ? kvm->gr_gid : kNoGroup};
}

UidBlock::~UidBlock() {
  if (!lock_) return;
  unlink(file_.c_str());  // while it is locked: who waits for it finds that it no longer has the name
  rmdir(fs::path(file_).parent_path().c_str());  // the last one takes the folder along
}

}  // namespace hearth::executor
