// Small pieces over system calls: whole-file reads and writes, the guest's clock.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/base/fd.h"
#include "common/base/result.h"

namespace hearth::guest {

struct Pair {
  Fd ours;    // non-blocking
  Fd theirs;  // blocking, for the runtime
};

// "what: strerror(errno)".
[[nodiscard]] std::unexpected<Error> FailErrno(std::string_view what);

Result<Pair> MakePipe();                // ours reads, theirs writes; both close on exec
Result<Pair> MakeSocketPair(int type);  // both directions; close on exec
Result<Fd> MakeMemoryFile();            // empty; can be filled and sealed
// Read-only for ever from now on; the position of the descriptor, and of those that share it, stays at the start.
Result<void> FillAndSeal(const Fd& file, std::string_view bytes);
Result<Fd> MakeSealedFile(std::string_view bytes);

// One packet of a SOCK_SEQPACKET socket, with descriptors (at most kMaxPassedFds).
constexpr std::size_t kMaxPassedFds = 8;
Result<void> SendWithFds(const Fd& socket, std::string_view bytes, std::span<const int> fds);
// Its size; the descriptors close on exec. An error also where the other end closed or sent another number of them.
Result<std::size_t> ReceiveWithFds(int socket, std::span<char> bytes, std::span<int> fds);

Result<void> WriteFile(const std::string& path, std::string_view text);  // existing file, one write (cgroup, proc)
Result<std::string> ReadFile(const std::string& path);                   // at most 64 KiB

// The number after "key " in a file of such lines (memory.events, cpu.stat); 0 where it is absent.
std::int64_t ReadKeyed(const std::string& path, std::string_view key);

std::int64_t MonotonicMicros();
std::int64_t WallMicros();
std::string RandomHex(std::size_t bytes);  // from the kernel's generator

}  // namespace hearth::guest
