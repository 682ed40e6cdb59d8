#include "guest/agent/cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace hearth::guest {
namespace {

std::int64_t ReadNumber(const std::string& path) {
  const auto text = ReadFile(path);
  std::int64_t value = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), value);
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
  return Cgroup(path, std::move(procs));
}

void Cgroup::Kill() const {
  (void)WriteFile(path_ + "/cgroup.kill", "1");
}

int Cgroup::CountProcesses() const {
  const auto text = ReadFile(path_ + "/cgroup.procs");
  return text ? static_cast<int>(std::ranges::count(*text, '\n')) : 0;
}

std::int64_t Cgroup::CpuMicros() const {
  return ReadKeyed(path_ + "/cpu.stat", "usage_usec");
}

std::int64_t Cgroup::MemoryPeakBytes() const {
  return ReadNumber(path_ + "/memory.peak");
}

bool Cgroup::HoldsMoreThan(std::int64_t bytes) const {
  if (ReadNumber(path_ + "/memory.current") <= bytes) return false;  // the cheap answer nearly always is enough
  return ReadKeyed(path_ + "/memory.stat", "anon") + ReadKeyed(path_ + "/memory.stat", "shmem") > bytes;
}

std::int64_t Cgroup::OomKills() const {
  return ReadKeyed(path_ + "/memory.events", "oom_kill");
}

bool Cgroup::Remove() const {
  return rmdir(path_.c_str()) == 0 || errno == ENOENT;
}

}  // namespace hearth::guest
