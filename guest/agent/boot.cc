#include "guest/agent/boot.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <vector>

#include "common/base/handle.h"
#include "guest/agent/code_cache.h"
#include "guest/agent/sandbox.h"

namespace hearth::guest {
namespace {

constexpr const char* kModules = "/modules";
constexpr const char* kNewRoot = "/newroot";
constexpr int kDeviceWaitMs = 5000;
constexpr std::int64_t kReservedBytes = 96LL << 20;  // for the kernel, the agent, the zygote

using Folder = std::unique_ptr<DIR, Deleter<closedir>>;

std::vector<std::string> List(const std::string& path) {
  std::vector<std::string> names;
  const Folder folder(opendir(path.c_str()));
  if (!folder) return names;
  while (const dirent* entry = readdir(folder.get())) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  std::ranges::sort(names);
  return names;
}

Result<void> Mount(const char* source, const std::string& target, const char* type, unsigned long flags,
                   const char* options = nullptr) {
  mkdir(target.c_str(), 0755);
  if (mount(source, target.c_str(), type, flags, options) != 0) return FailErrno("mount " + target);
  return {};
}

// The image's recipe numbers them in the order of what they depend on.
Result<void> LoadModules() {
  for (const auto& name : List(kModules)) {
    const std::string path = std::string(kModules) + "/" + name;
    const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file || (syscall(SYS_finit_module, file.get(), "", 0) != 0 && errno != EEXIST))
      return FailErrno("load " + name);
  }
  RemoveTree(kModules);  // the initramfs is memory
  unlink("/init");
  return {};
}

// A container can leave a root behind only if that root is a mount of its own, which the initramfs is not.
Result<void> LeaveInitramfs() {
  // Holds a page of each container: its machine id.
  if (auto made = Mount("agent", kNewRoot, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=4m"); !made) return made;
  if (chdir(kNewRoot) != 0 || mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || chroot(".") != 0 || chdir("/") != 0) {
    return FailErrno("leave the initramfs");
  }
  return {};
}

Result<void> MakeDevices() {
  if (auto made = Mount("devices", kDeviceRoot, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k"); !made)
    return made;
  const struct {
    const char* name;
    unsigned major, minor;
  } nodes[] = {{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}};
  const std::string root = std::string(kDeviceRoot) + "/";
  umask(0);
  for (const auto& node : nodes) {
    if (mknod((root + node.name).c_str(), S_IFCHR | 0666, makedev(node.major, node.minor)) != 0)
      return FailErrno("mknod");
  }
  umask(022);
  const std::pair<const char*, const char*> links[] = {{"/proc/self/fd", "fd"},
                                                       {"/proc/self/fd/0", "stdin"},
                                                       {"/proc/self/fd/1", "stdout"},
                                                       {"/proc/self/fd/2", "stderr"}};
  for (const auto& [target, name] : links) {
    if (symlink(target, (root + name).c_str()) != 0) return FailErrno("symlink");
  }
  if (mkdir((root + "shm").c_str(), 0755) != 0) return FailErrno("mkdir shm");
  return {};
}

Result<void> MakeCgroups() {
  const std::string root = kCgroupRoot;
  if (auto made = Mount("cgroup2", root, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC); !made) return made;
  if (auto made = WriteFile(root + "/cgroup.subtree_control", "+cpu +memory +pids"); !made) return made;
  const std::string agent = root + "/agent";
  if (mkdir(agent.c_str(), 0755) != 0 || mkdir(kContainerCgroups, 0755) != 0) return FailErrno("mkdir cgroup");
  if (auto made = WriteFile(std::string(kContainerCgroups) + "/cgroup.subtree_control", "+cpu +memory +pids"); !made)
    return made;
  // Containers that together want more than there is are short of memory among themselves, not at the zygote's cost.
  struct sysinfo info{};
  sysinfo(&info);
  const std::int64_t total = static_cast<std::int64_t>(info.totalram) * info.mem_unit;
  const std::int64_t share = std::max(total - kReservedBytes, total / 2);
  if (auto made = WriteFile(std::string(kContainerCgroups) + "/memory.max", std::to_string(share)); !made) return made;
  if (auto made = WriteFile(agent + "/cgroup.procs", "0"); !made) return made;
  // A container that burns all of the processor must not keep the agent from killing it.
  return WriteFile(agent + "/cpu.weight", "10000");
}

}  // namespace

void OpenStandardDescriptors() {
  mkdir("/dev", 0755);
  if (mount("dev", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, nullptr) != 0) return;
  for (int fd = open("/dev/null", O_RDWR); fd >= 0 && fd < 1;) fd = open("/dev/null", O_RDWR);
  open("/dev/kmsg", O_WRONLY);  // becomes 2
}

void Note(const std::string& line) {
  const std::string text = "<3>hearth-agent: " + line;
  (void)!write(2, text.data(), text.size());
}

Result<void> PrepareMachine() {
  if (auto done = LoadModules(); !done) return done;
  if (auto done = LeaveInitramfs(); !done) return done;
  if (auto done = Mount("dev", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC); !done) return done;
  if (auto done = Mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC); !done) return done;
  if (auto done = Mount("sys", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC); !done) return done;
  if (auto done = MakeCgroups(); !done) return done;
  if (auto done = MakeDevices(); !done) return done;
  if (auto done = Mount("codes", kCodeRoot, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=25%"); !done) return done;
  mkdir(kMountPoint, 0755);
  // The disk is there once its driver is: probing is synchronous, the node in /dev follows at once.
  if (auto done = Mount("/dev/vda", kRuntimeRoot, "squashfs", MS_RDONLY | MS_NOSUID | MS_NODEV); !done) return done;
  // The zygote lives in the image and shall see the same devices as its children.
  return Mount(kDeviceRoot, std::string(kRuntimeRoot) + "/dev", nullptr, MS_BIND);
}

Result<Fd> OpenPort() {
  const std::string folder = "/sys/class/virtio-ports";
  // The host announces its ports through a queue that the driver reads after it was loaded.
  for (const std::int64_t deadline = MonotonicMicros() + kDeviceWaitMs * 1000LL; MonotonicMicros() < deadline;) {
    for (const auto& port : List(folder)) {
      const auto name = ReadFile(folder + "/" + port + "/name");
      if (!name || *name != std::string(kPortName) + "\n") continue;
      Fd fd(open(("/dev/" + port).c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
      if (!fd) return FailErrno("open " + port);
      return fd;
    }
    usleep(1000);
  }
  return Fail(Code::kUnavailable, "no virtio-serial port named agent.0");
}

}  // namespace hearth::guest
