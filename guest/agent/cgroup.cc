#include "guest/agent/cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

namespace hearth::guest {
namespace {

// What the file says now; a control file is read whole from its start. Longer than `Buffer` is cut.
using Buffer = std::array<char, 4096>;
std::string_view ReadAgain(const Fd& file, Buffer& buffer) {
  const ssize_t count = pread(file.get(), buffer.data(), buffer.size(), 0);
  return {buffer.data(), count > 0 ? static_cast<std::size_t>(count) : 0};
}

std::int64_t ToNumber(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

Result<Cgroup> Cgroup::Make(const std::string& parent, const std::string& name, std::int64_t memory_bytes,
                            int max_pids) {
  const std::string path = parent + "/" + name;
  if (mkdir(path.c_str(), 0755) != 0) return FailErrno("mkdir " + path);
  const std::pair<const char*, std::string> settings[] = {
      {"/memory.max", std::to_string(memory_bytes)},
      {"/memory.swap.max", "0"},
      {"/memory.oom.group", "1"},  // half a killed function is of no use
      {"/pids.max", std::to_string(max_pids)},
  };
  for (const auto& [file, value] : settings) {
    // No swap controller where the kernel has no swap.
    if (auto written = WriteFile(path + file, value); !written && std::string_view(file) != "/memory.swap.max") {
      rmdir(path.c_str());
      return std::unexpected(written.error());
    }
  }
  Fd procs(open((path + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  if (!procs) return FailErrno("open cgroup.procs");
  const auto read = [&path](const char* file) { return Fd(open((path + file).c_str(), O_RDONLY | O_CLOEXEC)); };
  Open files{read("/cgroup.procs"), read("/pids.current"), read("/cpu.stat"), read("/memory.current"),
             read("/memory.peak")};
  if (!files.procs || !files.pids_current || !files.cpu_stat || !files.memory_current || !files.memory_peak) {
    return FailErrno("open the files of " + path);
  }
  return Cgroup(path, std::move(procs), std::move(files));
}

Result<void> Cgroup::BoundMemory(std::int64_t bytes) const {
  return WriteFile(path_ + "/memory.max", std::to_string(bytes));
}

void Cgroup::Kill() const {
  (void)WriteFile(path_ + "/cgroup.kill", "1");
}

bool Cgroup::HoldsProcesses(int count) const {
  Buffer buffer;  // holds more lines than a container may have processes
  // A counter of threads, dead ones that nobody waited for included: where it says `count`, it can be no other.
  if (ToNumber(ReadAgain(open_.pids_current, buffer)) == count && count <= 1) return true;
  return std::ranges::count(ReadAgain(open_.procs, buffer), '\n') == count;
}

std::int64_t Cgroup::CpuMicros() const {
  constexpr std::string_view kFirst = "usage_usec ";
  Buffer buffer;
  const auto text = ReadAgain(open_.cpu_stat, buffer);
  return text.starts_with(kFirst) ? ToNumber(text.substr(kFirst.size())) : 0;
}

std::int64_t Cgroup::MemoryPeakBytes() const {
  Buffer buffer;
  return ToNumber(ReadAgain(open_.memory_peak, buffer));
}

bool Cgroup::HoldsMoreThan(std::int64_t bytes, std::int64_t peak) const {
  Buffer buffer;
  if (peak <= bytes) return false;
  if (ToNumber(ReadAgain(open_.memory_current, buffer)) <= bytes)
    return false;  // the cheap answer is nearly always enough
  return ReadKeyed(path_ + "/memory.stat", "anon") + ReadKeyed(path_ + "/memory.stat", "shmem") > bytes;
}

std::int64_t Cgroup::OomKills() const {
  return ReadKeyed(path_ + "/memory.events", "oom_kill");
}

bool Cgroup::Remove() const {
  return rmdir(path_.c_str()) == 0 || errno == ENOENT;
}

}  // namespace hearth::guest
