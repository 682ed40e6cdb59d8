// One control group (v2) per container: limits, accounting, and the one sure way to kill all in it.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/result.h"
#include "guest/agent/sys.h"

namespace hearth::guest {

constexpr int kMaxContainerPids = 256;

class Cgroup {
 public:
  // `parent` is a folder of the cgroup file system with memory, pids and cpu handed down.
  static Result<Cgroup> Make(const std::string& parent, const std::string& name, std::int64_t memory_bytes,
                             int max_pids);

  // Open for writing "0": the writer moves itself in.
  [[nodiscard]] int procs_fd() const { return procs_.get(); }
  Result<void> BoundMemory(std::int64_t bytes) const;
  void Kill() const;
  // Whether exactly so many living processes are in it.
  [[nodiscard]] bool HoldsProcesses(int count) const;
  [[nodiscard]] std::int64_t CpuMicros() const;
  [[nodiscard]] std::int64_t MemoryPeakBytes() const;  // since the group was made
  // Whether it holds more memory that only its end would give back (what is cached of files does not count). `peak` is
  // what MemoryPeakBytes said just before.
  [[nodiscard]] bool HoldsMoreThan(std::int64_t bytes, std::int64_t peak) const;
  [[nodiscard]] std::int64_t OomKills() const;
  // False while a process is left in it.
  [[nodiscard]] bool Remove() const;

 private:
  // Files that are read after each run, kept open: looking a path up costs more than the reading.
  struct Open {
    Fd procs;
    Fd pids_current;
    Fd cpu_stat;
    Fd memory_current;
    Fd memory_peak;
  };
  Cgroup(std::string path, Fd procs, Open open)
      : path_(std::move(path)), procs_(std::move(procs)), open_(std::move(open)) {}

  std::string path_;
  Fd procs_;
  Open open_;
};

}  // namespace hearth::guest
