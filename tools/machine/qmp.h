// A client of QEMU's monitor (QMP) over its Unix socket. Blocks; one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace hearth::guest {

constexpr std::chrono::milliseconds kMonitorTimeout{10'000};

class Qmp {
 public:
  // Connects as soon as QEMU listens and leaves the negotiation mode. kDeadline: it does not within the time.
  static Result<Qmp> Connect(const std::string& path, std::chrono::milliseconds timeout = kMonitorTimeout);
  Qmp(Qmp&& other) noexcept;
  Qmp& operator=(Qmp&& other) noexcept;
  ~Qmp();

  // The command's "return". Its error is kInternal, with QEMU's words. `descriptor`, where it is not negative, goes
  // with the command (getfd). Events are passed over.
  Result<nlohmann::json> Execute(std::string_view command, nlohmann::json arguments = nlohmann::json::object(),
                                 int descriptor = -1);
  // Hands the open descriptor to QEMU under the name.
  Result<void> GiveDescriptor(const std::string& name, int descriptor);
  // Asks every few milliseconds until a migration has ended; kInternal where it failed.
  Result<void> AwaitMigration(std::chrono::milliseconds timeout = kMonitorTimeout);
  // What the guest has executed since it started; kInternal where QEMU does not count (MachineOptions::icount).
  Result<std::int64_t> Instructions();
  // Commands sent so far, the one that ends the negotiation included.
  [[nodiscard]] int commands() const { return commands_; }

 private:
  explicit Qmp(int socket) : socket_(socket) {}
  Result<nlohmann::json> Read(std::chrono::steady_clock::time_point deadline);

  int socket_ = -1;
  std::string unread_;
  int commands_ = 0;
};

}  // namespace hearth::guest
