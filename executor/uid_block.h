// A block of accounts for the machines of one executor. Two executors of a host never have the same one: machines of
// the one could open the sockets of the other's.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/fd.h"
#include "common/base/ids.h"
#include "common/base/result.h"
#include "executor/machines/fleet.h"

namespace hearth::executor {

// QEMU's accounts lie above all that Debian, containers and systemd hand out, and below 2^31.
constexpr std::uint32_t kFirstUid = 1'900'000'000;
constexpr std::uint32_t kUidBlocks = 4096;
constexpr const char* kUidBlockFolder = "/run/hearth-uids";

class UidBlock {
 public:
  struct Places {
    std::string locks = kUidBlockFolder;  // one for the host
    std::string processes = "/proc";
    std::string state_dir;  // remembers the block, so that machines of an earlier life are the executor's own
  };
  // The block of the last life, unless something of another executor runs under it; else the first one from where the
  // id's hash points that no other executor has locked, and under whose accounts nothing runs. kUnavailable: the lock's
  // folder is not ours, or every block is taken.
  static Result<UidBlock> Claim(const ExecutorId& executor, const Places& places);
  UidBlock(UidBlock&&) noexcept = default;
  UidBlock& operator=(UidBlock&&) = delete;
  ~UidBlock();  // gives it back
  UidBlock(const UidBlock&) = delete;
  UidBlock& operator=(const UidBlock&) = delete;

  [[nodiscard]] std::uint32_t number() const { return number_; }
  [[nodiscard]] MachineAccount first_account() const;  // its group may open the KVM device
  [[nodiscard]] std::uint32_t first_uid() const { return kFirstUid + number_ * kAccountsOfExecutor; }

 private:
  static Result<UidBlock> Try(const ExecutorId& executor, const Places& places);
  UidBlock(std::string file, Fd lock, std::uint32_t number)
      : file_(std::move(file)), lock_(std::move(lock)), number_(number) {}
  std::string file_;
  Fd lock_;  // empty once it was moved away
  std::uint32_t number_;
};

}  // namespace hearth::executor
