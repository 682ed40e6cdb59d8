// Memory with a descriptor and no name: filled once, then sealed by the kernel, so that whoever opens it can map and
// read it and nobody can change it, whatever account they run under. QEMU opens it through the process that keeps it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/base/fd.h"
#include "common/base/result.h"
#include "executor/machines/domain_xml.h"

namespace hearth::executor {

// Every call blocks. Not thread-safe before it is sealed; Reopen may be called by any thread after that.
class MemoryFile {
 public:
  static Result<MemoryFile> Create(const std::string& label, std::int64_t bytes);
  // What `path` holds, with its holes. kExhausted: it is larger than `most_bytes`.
  static Result<MemoryFile> ReadFrom(const std::string& path, std::int64_t most_bytes);

  // From here on nothing can change it. kUnavailable: somebody still maps it for writing.
  Result<void> Seal();
  // Hex of SHA-256 over the size and every page that is not zero, with its number: holes do not matter.
  [[nodiscard]] Result<std::string> Hash() const;
  // Writes a sparse copy with mode 0600, whole or not at all.
  [[nodiscard]] Result<void> WriteTo(const std::string& path) const;
  // The same file from its beginning, to be read by somebody else.
  [[nodiscard]] Result<Fd> Reopen() const;

  [[nodiscard]] int descriptor() const { return descriptor_.get(); }
  [[nodiscard]] std::int64_t bytes() const;

 private:
  explicit MemoryFile(Fd descriptor) : descriptor_(std::move(descriptor)) {}
  Fd descriptor_;
};

// A process that does nothing but keep a descriptor open, under the account of the machine that shall open the file. No
// other account passes through the process's /proc entry. It ends with this object, or with the executor.
class MemoryKeeper {
 public:
  // Without an account: under the executor's.
  static Result<std::unique_ptr<MemoryKeeper>> Start(int descriptor, const std::optional<MachineAccount>& account);
  ~MemoryKeeper();
  MemoryKeeper(const MemoryKeeper&) = delete;
  MemoryKeeper& operator=(const MemoryKeeper&) = delete;

  [[nodiscard]] std::string path() const;

 private:
  MemoryKeeper(pid_t pid, Fd life) : pid_(pid), life_(std::move(life)) {}
  pid_t pid_;
  Fd life_;  // its standard input: it ends when this is closed
};

}  // namespace hearth::executor
