#include "executor/machines/share_groups.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "executor/control_groups.h"

namespace hearth::executor {
namespace {

namespace fs = std::filesystem;

constexpr std::int32_t kUserShares = 1024;  // of version 1

std::unexpected<Error> Fault(const std::string& what) {
  return Fail(Code::kUnavailable, fmt::format("{}: {}", what, std::generic_category().message(errno)));
}

Result<void> Write(const std::string& file, const std::string& text) {
  errno = 0;
  std::ofstream out(file);
  out << text << std::flush;
  if (!out) return Fault(file + " cannot be written");
  return {};
}

Result<void> MakeFolder(const std::string& folder) {
  if (mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return Fault(folder + " cannot be made");
  return {};
}

Result<void> MoveInto(const std::string& folder, pid_t process) {
  return Write(folder + "/cgroup.procs", std::to_string(process));
}

bool Names(const std::string& file, const std::string& controller) {
  std::ifstream in(file);
  for (std::string word; in >> word;) {
    if (word == controller) return true;
  }
  return false;
}

Result<void> SetWeight(const std::string& folder, bool unified, std::int32_t weight) {
  return unified ? Write(folder + "/cpu.weight", std::to_string(weight))
                 : Write(folder + "/cpu.shares", std::to_string(kUserShares * weight / kUserWeight));
}

// Groups have no contents that could be removed: a folder goes once those in it are gone and no process is in it.
void RemoveTree(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> below;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.is_directory(error)) below.push_back(entry.path());
  }
  for (const auto& each : below) RemoveTree(each);
  rmdir(folder.c_str());
}

// Groups of an earlier life: their process is no more.
void RemoveLeft(const GroupFolder& own, const std::string& prefix) {
  std::error_code error;
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(own.File(""), error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(prefix)) continue;
    const std::string_view number = std::string_view(name).substr(prefix.size());
    pid_t process = 0;
    const auto [end, fault] = std::from_chars(number.data(), number.data() + number.size(), process);
    if (fault != std::errc{} || end != number.data() + number.size()) continue;
    if (kill(process, 0) != 0 && errno == ESRCH) left.push_back(entry.path());
  }
  for (const auto& folder : left) RemoveTree(folder);
}

// A process's own group, of version 1 where there is one.
const GroupFolder* OwnGroup(const std::vector<GroupFolder>& groups) {
  for (const auto& group : groups) {
    if (!group.unified) return &group;
  }
  return groups.empty() ? nullptr : &groups.front();
}

// Of version 1 there is a folder for each controller beside that of `cpu`.
std::vector<std::string> HierarchiesBeside(const GroupFolder& cpu) {
  if (cpu.unified) return {cpu.mount};
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(fs::path(cpu.mount).parent_path(), error)) {
    if (entry.is_directory(error) && !entry.is_symlink(error)) found.push_back(entry.path());
  }
  return found;
}

// The path of the group that libvirt has made for the process; empty: none. It has the same one in each hierarchy.
std::string LibvirtsGroupOf(pid_t process) {
  std::ifstream lines(fmt::format("/proc/{}/cgroup", process));
  for (std::string line; std::getline(lines, line);) {  // NUMBER:CONTROLLERS:PATH
    const std::string path = line.substr(std::min(line.size(), line.find('/')));
    if (path.substr(path.rfind('/') + 1).starts_with("qemu-")) return path;
  }
  return "";
}

}  // namespace

// Version 2 has processes only in groups that have no groups with controllers in them: this process moves into one of
// its own first. Where others are with it, the system refuses.
Result<void> ShareGroups::Enable(const GroupFolder& own, const Tree& tree, pid_t self, bool& memory) {
  if (!Names(own.File("cgroup.controllers"), "cpu")) {
    return Fail(Code::kUnavailable, own.File("cgroup.controllers") + " does not name cpu");
  }
  memory = Names(own.File("cgroup.controllers"), "memory");
  const std::string controllers = memory ? "+cpu +memory" : "+cpu";
  if (!Names(own.File("cgroup.subtree_control"), "cpu")) {
    const std::string aside = own.File("hearth-self");
    if (auto made = MakeFolder(aside); !made) return made;
    if (auto moved = MoveInto(aside, self); !moved) return moved;
    if (auto enabled = Write(own.File("cgroup.subtree_control"), controllers); !enabled) {
      (void)MoveInto(own.File(""), self);
      rmdir(aside.c_str());
      return enabled;
    }
  }
  if (auto made = MakeFolder(tree.folder); !made) return made;
  return Write(tree.folder + "/cgroup.subtree_control", controllers);
}

Result<ShareGroups> ShareGroups::Make(const ExecutorId& executor, const ControlGroups& own, pid_t self) {
  const GroupFolder* cpu = OwnGroup(own.cpu);
  if (cpu == nullptr) return Fail(Code::kUnavailable, "no control group counts processor time here");
  ShareGroups groups;
  const std::string prefix = "hearth-" + executor.value + "-";
  const std::string name = prefix + std::to_string(self);
  groups.cpu_ = {cpu->File(name), cpu->unified};
  groups.hierarchies_ = HierarchiesBeside(*cpu);
  RemoveLeft(*cpu, prefix);
  if (cpu->unified) {
    if (auto enabled = Enable(*cpu, groups.cpu_, self, groups.unified_memory_); !enabled) {
      return std::unexpected(enabled.error());
    }
  } else if (auto made = MakeFolder(groups.cpu_.folder); !made) {
    return std::unexpected(made.error());
  }
  const std::string pool = groups.cpu_.folder + "/pool";
  auto made = MakeFolder(pool);
  if (made) made = SetWeight(pool, cpu->unified, kPoolWeight);
  if (!made) return std::unexpected(made.error());
  const GroupFolder* memory = OwnGroup(own.memory);
  if (!cpu->unified && memory != nullptr && !memory->unified) {
    Tree tree{memory->File(name), false};
    RemoveLeft(*memory, prefix);
    if (MakeFolder(tree.folder)) groups.memory_ = std::move(tree);
  }
  return groups;
}

ShareGroups::~ShareGroups() {
  if (cpu_.folder.empty()) return;
  for (const auto& [machine, path] : libvirts_) RemoveLibvirts(path);
  RemoveTree(cpu_.folder);
  if (memory_) RemoveTree(memory_->folder);
}

std::string ShareGroups::UserFolder(const UserId& user) const {
  return fmt::format("{}/u-{}", cpu_.folder, user.value);
}

std::optional<std::string> ShareGroups::MemoryFolder(const UserId& user, const MachineId& machine) const {
  if (unified_memory_) return fmt::format("{}/m-{}", UserFolder(user), machine.value);
  if (memory_) return fmt::format("{}/m-{}", memory_->folder, machine.value);
  return std::nullopt;
}

void ShareGroups::NoteLibvirts(pid_t process, const MachineId& machine) {
  if (auto path = LibvirtsGroupOf(process); !path.empty()) libvirts_.emplace(machine, std::move(path));
}

void ShareGroups::RemoveLibvirts(const std::string& path) const {
  for (const auto& hierarchy : hierarchies_) RemoveTree(hierarchy + path);
}

Result<void> ShareGroups::TakeIn(pid_t process, const MachineId& machine) {
  NoteLibvirts(process, machine);
  return MoveInto(cpu_.folder + "/pool", process);
}

Result<void> ShareGroups::Assign(pid_t process, const UserId& user, const MachineId& machine, std::int32_t memory_mib) {
  NoteLibvirts(process, machine);
  const std::string of_user = UserFolder(user);
  if (auto made = MakeFolder(of_user); !made) return made;
  if (machines_.emplace(machine, user).second) ++users_[user];
  empty_.erase(of_user);
  if (auto weighed = SetWeight(of_user, cpu_.unified, kUserWeight); !weighed) return weighed;
  const auto of_machine = MemoryFolder(user, machine);
  if (of_machine) {
    if (unified_memory_) {
      if (auto enabled = Write(of_user + "/cgroup.subtree_control", "+memory"); !enabled) return enabled;
    }
    if (auto made = MakeFolder(*of_machine); !made) return made;
    const std::string limit = *of_machine + (unified_memory_ ? "/memory.max" : "/memory.limit_in_bytes");
    if (auto bound = Write(limit, std::to_string((memory_mib + kQemuExtraMib) * kBytesPerMib)); !bound) return bound;
    if (auto moved = MoveInto(*of_machine, process); !moved) return moved;
  }
  return unified_memory_ ? Result<void>() : MoveInto(of_user, process);
}

void ShareGroups::RemoveLater(std::string folder) {
  empty_.insert(std::move(folder));
}

void ShareGroups::Forget(const MachineId& machine) {
  if (const auto found = libvirts_.find(machine); found != libvirts_.end()) {
    RemoveLibvirts(found->second);
    libvirts_.erase(found);
  }
  if (const auto found = machines_.find(machine); found != machines_.end()) {
    const UserId user = found->second;
    machines_.erase(found);
    if (auto of_machine = MemoryFolder(user, machine)) RemoveLater(std::move(*of_machine));
    if (--users_[user] == 0) {
      users_.erase(user);
      RemoveLater(UserFolder(user));
    }
  }
  // A longer name first: what is in a group goes before it.
  for (auto at = empty_.rbegin(); at != empty_.rend();) {
    const bool gone = rmdir(at->c_str()) == 0 || errno == ENOENT;
    if (gone) {
      at = std::make_reverse_iterator(empty_.erase(std::next(at).base()));
    } else {
      ++at;
    }
  }
}

}  // namespace hearth::executor
