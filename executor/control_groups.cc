#include "executor/control_groups.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <system_error>

namespace hearth::executor {
namespace {

// Version 1 writes a number near the largest one where there is no limit.
constexpr std::int64_t kNoLimitBytes = std::int64_t{1} << 60;

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

// The number at the beginning; nothing where there is none, as in "max".
std::optional<std::int64_t> Number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} ? std::optional(number) : std::nullopt;
}

// The number behind a name in a file such as memory.stat.
std::optional<std::int64_t> Field(std::string_view text, std::string_view name) {
  for (const auto line : Split(text, '\n')) {
    const auto words = Split(line, ' ');
    if (words.size() == 2 && words[0] == name) return Number(words[1]);
  }
  return std::nullopt;
}

struct Mount {
  std::string root;  // which group of the hierarchy is mounted
  std::string point;
};

// By controller; version 2 under "".
std::map<std::string, Mount, std::less<>> ReadMounts(std::string_view mounts) {
  std::map<std::string, Mount, std::less<>> found;
  for (const auto line : Split(mounts, '\n')) {
    constexpr std::string_view kBetween = " - ";
    const auto between = line.find(kBetween);
    if (between == std::string_view::npos) continue;
    const auto left = Split(line.substr(0, between), ' ');
    const auto right = Split(line.substr(between + kBetween.size()), ' ');
    if (left.size() < 5 || right.size() < 3) continue;
    const Mount mount{std::string(left[3]), std::string(left[4])};
    if (right[0] == "cgroup2") found.emplace("", mount);
    if (right[0] != "cgroup") continue;
    for (const auto option : Split(right[2], ',')) found.emplace(option, mount);
  }
  return found;
}

// The process's group and those above, as far as they are mounted.
std::vector<GroupFolder> FoldersOf(const Mount& mount, std::string_view group, bool unified) {
  std::string_view path = group;
  const std::string_view root = mount.root == "/" ? std::string_view() : std::string_view(mount.root);
  // A group outside what is mounted is that of a container whose own is the mount.
  path = path.starts_with(root) ? path.substr(root.size()) : std::string_view();
  if (path == "/" || path.starts_with("/..")) path = {};
  std::vector<GroupFolder> folders;
  for (;;) {
    folders.push_back({mount.point, std::string(path), unified});
    if (path.empty()) return folders;
    path = path.substr(0, path.rfind('/'));
  }
}

std::optional<std::int64_t> LimitBytes(const GroupFolder& group, const FileText& text) {
  const auto bytes = Number(text(group.File(group.unified ? "memory.max" : "memory.limit_in_bytes")));
  return bytes && *bytes < kNoLimitBytes ? bytes : std::nullopt;
}

std::int64_t UsedBytes(const GroupFolder& group, const FileText& text) {
  const auto all = Number(text(group.File(group.unified ? "memory.current" : "memory.usage_in_bytes")));
  const auto files = Field(text(group.File("memory.stat")), group.unified ? "inactive_file" : "total_inactive_file");
  return std::max<std::int64_t>(0, all.value_or(0) - files.value_or(0));
}

std::optional<double> Quota(const GroupFolder& group, const FileText& text) {
  std::optional<std::int64_t> quota;
  std::optional<std::int64_t> period;
  if (group.unified) {
    const std::string line = text(group.File("cpu.max"));
    const auto words = Split(line, ' ');
    if (words.size() == 2) {
      quota = Number(words[0]);
      period = Number(words[1]);
    }
  } else {
    quota = Number(text(group.File("cpu.cfs_quota_us")));
    period = Number(text(group.File("cpu.cfs_period_us")));
  }
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

}  // namespace

std::string GroupFolder::File(std::string_view name) const {
  return mount + path + "/" + std::string(name);
}

ControlGroups FindControlGroups(std::string_view groups, std::string_view mounts, GroupScope scope) {
  const auto mounted = ReadMounts(mounts);
  ControlGroups found;
  const auto add = [&](std::vector<GroupFolder>& to, std::string_view controller, std::string_view group) {
    const auto mount = mounted.find(controller);
    if (mount == mounted.end()) return;
    for (auto& folder : FoldersOf(mount->second, group, controller.empty())) {
      if (scope == GroupScope::kOwn || folder.path.empty()) to.push_back(std::move(folder));
    }
  };
  for (const auto line : Split(groups, '\n')) {  // NUMBER:CONTROLLERS:PATH
    const auto first = line.find(':');
    const auto second = line.find(':', std::min(first + 1, line.size()));
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    const auto controllers = line.substr(first + 1, second - first - 1);
    const auto group = line.substr(second + 1);
    if (controllers.empty()) {
      add(found.memory, "", group);
      add(found.cpu, "", group);
    }
    for (const auto controller : Split(controllers, ',')) {
      if (controller == "memory") add(found.memory, controller, group);
      if (controller == "cpu") add(found.cpu, controller, group);
    }
  }
  if (const auto accounts = mounted.find("cpuacct"); accounts != mounted.end()) {
    found.cpu_accounts = accounts->second.point;
  }
  return found;
}

std::optional<GroupMemory> ReadGroupMemory(const ControlGroups& groups, const FileText& text) {
  std::optional<GroupMemory> smallest;
  for (const auto& group : groups.memory) {
    const auto limit = LimitBytes(group, text);
    if (!limit) continue;
    const std::int64_t limit_mib = *limit / kBytesPerMib;
    const std::int64_t left_mib = std::max<std::int64_t>(0, *limit - UsedBytes(group, text)) / kBytesPerMib;
    if (!smallest) smallest = GroupMemory{limit_mib, left_mib};
    smallest->limit_mib = std::min(smallest->limit_mib, limit_mib);
    smallest->available_mib = std::min(smallest->available_mib, left_mib);
  }
  return smallest;
}

std::optional<GroupCpu> ReadGroupCpu(const ControlGroups& groups, const FileText& text) {
  std::optional<GroupCpu> smallest;
  for (const auto& group : groups.cpu) {
    const auto processors = Quota(group, text);
    if (!processors || (smallest && smallest->processors <= *processors)) continue;
    constexpr std::int64_t kNanosPerMicro = 1000;
    const auto used_us =
        group.unified ? Field(text(group.File("cpu.stat")), "usage_usec").value_or(0)
                      : Number(text(groups.cpu_accounts + group.path + "/cpuacct.usage")).value_or(0) / kNanosPerMicro;
    smallest = GroupCpu{*processors, used_us};
  }
  return smallest;
}

}  // namespace hearth::executor
