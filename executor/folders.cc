#include "executor/folders.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

namespace hearth::executor {
namespace {

namespace fs = std::filesystem;

Result<void> MakeFolder(const char* key, const std::string& path, unsigned mode) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!error && chmod(path.c_str(), mode) != 0) error.assign(errno, std::system_category());
  if (error) return Fail(Code::kUnavailable, fmt::format("{}: cannot make {}: {}", key, path, error.message()));
  return {};
}

// The first folder above (or at) `path` that other accounts cannot pass through, or empty.
std::string Barrier(const std::string& path) {
  struct stat status{};
  for (fs::path folder = path; !folder.empty(); folder = folder.parent_path()) {
    if (stat(folder.c_str(), &status) != 0 || (status.st_mode & S_IXOTH) == 0) return folder.string();
    if (folder == folder.root_path()) break;
  }
  return "";
}

// As FleetOptions::folder_prefix and the proof of acceleration name them, with a number behind.
bool IsMachineFolder(std::string_view name) {
  for (const std::string_view prefix : {"m", "kvm-proof"}) {
    if (!name.starts_with(prefix) || name.size() == prefix.size()) continue;
    if (std::ranges::all_of(name.substr(prefix.size()), [](char c) { return c >= '0' && c <= '9'; })) return true;
  }
  return false;
}

}  // namespace

bool MachinesHaveAccounts(const Config& config) {
  return geteuid() == 0 && config.driver == DriverChoice::kLibvirt &&
         (config.libvirt.starts_with("qemu:///system") || config.libvirt.starts_with("qemu+unix:///system") ||
          config.libvirt.starts_with("qemu:///embed"));
}

Result<Fd> PrepareFolders(const Config& config) {
  const bool accounts = MachinesHaveAccounts(config);
  if (auto made = MakeFolder("run_dir", config.run_dir, accounts ? 0711 : 0700); !made)
    return std::unexpected(made.error());
  if (auto made = MakeFolder("state_dir", config.state_dir, 0700); !made) return std::unexpected(made.error());
  if (accounts) {
    if (const std::string barrier = Barrier(config.run_dir); !barrier.empty()) {
      return Fail(Code::kInvalid, fmt::format("run_dir {}: the accounts of machines cannot pass through {} (it needs x "
                                              "for others)",
                                              config.run_dir, barrier));
    }
  }
  const std::string path = config.run_dir + "/lock";
  Fd lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock) {
    return Fail(Code::kUnavailable, fmt::format("cannot open {}: {}", path, std::generic_category().message(errno)));
  }
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return Fail(Code::kUnavailable, fmt::format("another executor works in {}", config.run_dir));
  }
  return lock;
}

void RemoveMachineFolders(const std::string& run_dir) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run_dir, error)) {
    std::error_code ignored;
    // The socket tells one only until the agent has connected: then it is removed.
    const bool ours =
        IsMachineFolder(entry.path().filename().string()) || fs::exists(entry.path() / "agent.sock", ignored);
    if (entry.is_directory(ignored) && ours) {
      fs::remove_all(entry.path(), ignored);
    }
  }
}

}  // namespace hearth::executor
