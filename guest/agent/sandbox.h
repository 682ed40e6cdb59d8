// What makes a container: a holder process that is PID 1 of fresh namespaces with the container's file system, and the
// steps by which a process enters them and gives up its rights. The holder lives outside the container's cgroup and
// under a uid of its own, so that user code can neither kill nor read it, and killing the cgroup leaves it standing.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "guest/agent/identity.h"
#include "guest/agent/sys.h"
#include "schemas/limits.h"

namespace hearth::guest {

// Folders of the agent's own root, made at boot.
constexpr const char* kRuntimeRoot = "/runtime";   // the squashfs
constexpr const char* kCodeRoot = "/codes";        // tmpfs
constexpr const char* kDeviceRoot = "/devices";    // the few device nodes of a container
constexpr const char* kMountPoint = "/container";  // empty; each holder mounts its root there, in its own namespace
constexpr const char* kCgroupRoot = "/sys/fs/cgroup";

constexpr std::int64_t kEmptyMemoryBytes = std::int64_t{kDefaultMemoryMib} << 20;  // the bound of an empty container
constexpr std::int64_t kMaxTmpBytes = 512LL << 20;
constexpr int kMaxTmpFiles = 65'536;
constexpr int kMaxOpenFiles = 1024;
constexpr std::size_t kMaxOrderBytes = 64U << 10;

struct Holder {
  pid_t pid = -1;
  Fd pidfd;
  Fd machine_id;            // its /etc/machine-id, empty still; inside it can only be read
  std::string code_folder;  // what it has at /code
};

// Starts the holder of a container that is nobody's yet, with the folder at /code, and waits until its file system
// stands (milliseconds; at most 5 s). The space of /tmp and /dev/shm is that of a container of kEmptyMemoryBytes.
// `scratch` is a path for a file that is gone afterwards.
Result<Holder> StartHolder(const std::string& code_folder, const std::string& scratch);

// The agent's own namespaces, to come back to.
struct Home {
  Fd mounts, uts;
  // Of the calling process, which shares its file system context with nobody from then on.
  static Result<Home> Open();
};

// Makes the container somebody's: the identity, this folder at /code where it has another, and the space of /tmp and
// /dev/shm as `memory_bytes` has it. Before any of its processes runs user code: the agent goes inside to do it. Where
// it cannot come back, it ends.
Result<void> Furnish(const Holder& holder, const Home& home, const std::string& code_folder, std::int64_t memory_bytes,
                     const Identity& identity);

// Written by a launcher and its programs into memory shared with the agent. The agent clears it between programs.
struct Launch {
  bool waiting = false;       // a program's process waits for its order
  std::int64_t start_us = 0;  // monotonic clock, just before exec
  std::int32_t error = 0;     // errno of the step that failed, or 0
  char step[32] = {};
};

// Forks a child of the agent into the holder's namespaces and the cgroup, as uid and gid `id`, without any right, under
// the seccomp program: the launcher of a container of native code, which stays there. `orders_fd` is its end of a
// SOCK_SEQPACKET pair; when the other closes it ends. It makes a process when PrepareProgram asks for one, waits for
// the end of what that executes, and sends the wait status back, an int: one program at a time. What goes wrong is in
// `launch`. User code has the same uid: it can kill the launcher, and with it the container, but neither read it nor
// speak for it.
Result<pid_t> StartLauncher(const Holder& holder, int cgroup_procs_fd, uid_t id, const std::string& seccomp_program,
                            int orders_fd, Launch* launch);

using Stdio = std::array<int, 3>;  // input, output, error

// Has the next program's process made, which waits for its order: what is slow is done before anybody asks.
Result<void> PrepareProgram(const Fd& orders, const Stdio& stdio);
// Has it execute a program in /code: the path, then the environment, NAME=value each (kExhausted: more than
// kMaxOrderBytes).
Result<void> SendOrder(const Fd& orders, const std::vector<std::string>& path_and_environment);

}  // namespace hearth::guest
