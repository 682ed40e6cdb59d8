// What control groups leave this process of the host's memory and processors: in a container /proc/meminfo and
// /proc/stat still speak of the whole host. Versions 1 and 2, also side by side. A limit of any group above the
// process's own counts too, as far as it can be seen from here; the smallest wins.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::executor {

constexpr std::int64_t kBytesPerMib = 1 << 20;

struct GroupFolder {
  std::string mount;     // of the controller
  std::string path;      // below it, empty for the mount itself
  bool unified = false;  // version 2

  [[nodiscard]] std::string File(std::string_view name) const;
  friend bool operator==(const GroupFolder&, const GroupFolder&) = default;
};

// Where the process's groups are: its own first, then those above.
struct ControlGroups {
  std::vector<GroupFolder> memory;
  std::vector<GroupFolder> cpu;
  std::string cpu_accounts;  // where version 1 counts processor time: a mount of its own, or that of cpu
};
// Whose limits bind the machines.
enum class GroupScope : std::uint8_t {
  kOwn,        // this process's group and those above it: machines are its children
  kContainer,  // the one above all that is mounted here, a container's: a libvirtd has put machines elsewhere below it
};
// From the texts of /proc/self/cgroup and /proc/self/mountinfo.
ControlGroups FindControlGroups(std::string_view groups, std::string_view mounts, GroupScope scope = GroupScope::kOwn);

// The content of a file, empty where there is none.
using FileText = std::function<std::string(const std::string& path)>;

struct GroupMemory {
  std::int64_t limit_mib = 0;      // the smallest
  std::int64_t available_mib = 0;  // the smallest difference between a limit and what is used, without cached files
};
struct GroupCpu {
  double processors = 0;     // of the group with the smallest quota
  std::int64_t used_us = 0;  // by that group, ever; 0: not told
};
// Nothing where no group has a limit.
std::optional<GroupMemory> ReadGroupMemory(const ControlGroups& groups, const FileText& text);
std::optional<GroupCpu> ReadGroupCpu(const ControlGroups& groups, const FileText& text);

}  // namespace hearth::executor
