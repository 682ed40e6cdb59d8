// One dispatcher's directory and what it said, for tests against a real Redis.
#pragma once

#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "dispatcher/directory.h"
#include "tests/integration/executor/run_until.h"

namespace hearth::dispatcher {

constexpr std::int64_t kPatienceMs = 10'000;  // also the bound within which a directory must heal
inline const UserId kAlice("alice");
inline const std::string kSlots = "u:{alice}:slots";

inline link::Slot MakeSlot(const std::string& container, link::SlotState state = link::SlotState::kIdle,
                           std::int64_t version = 1, std::int64_t since_ms = 1000) {
  link::Slot slot;
  slot.user = kAlice;
  slot.machine = MachineId("i-1");
  slot.container = ContainerId(container);
  slot.function = FunctionName("greet");
  slot.version = version;
  slot.state = state;
  slot.memory_mib = 64;
  slot.since_ms = since_ms;
  return slot;
}

// Hearth's own functions library, to make mutants of.
inline std::string ReadLibrary() {
  std::stringstream text;
  text << std::ifstream(HEARTH_LIBRARY_FILE).rdbuf();
  return text.str();
}

struct Writer {
  Writer(Loop& loop, const std::string& address, std::string library = {}, const std::string& id = "d-1")
      : Writer(loop, address, id, Directory::Options{.library = std::move(library)}) {}
  Writer(Loop& loop, const std::string& address, const std::string& id, Directory::Options options)
      : directory(loop, address, {DispatcherId(id), "127.0.0.1:7"},
                  {[this](bool is_up, const std::string& why) {
                     up = is_up;
                     reason = why;
                   },
                   [this](UserId, std::vector<std::pair<ExecutorId, link::Slot>> slots) { loaded = std::move(slots); },
                   [this](std::vector<std::string> addresses) { executors = std::move(addresses); },
                   [this](const std::string& what) { alarm = what; },
                   [this](const UserId&, bool is_shared) { shared = is_shared; },
                   [this](const UserId&, const ExecutorId&, const ContainerId&, std::int64_t, bool is_granted) {
                     granted = is_granted;
                   }},
                  std::move(options)) {}

  void Write(const link::Slot& slot) { directory.Write(ExecutorId("ex-1"), slot); }
  [[nodiscard]] bool Settled() const { return up && directory.Read().waiting == 0; }
  // Whether the container was granted; nothing where no answer came.
  std::optional<bool> Claim(Loop& loop, const std::string& container, std::int64_t since_ms) {
    granted.reset();
    directory.Claim(kAlice, ExecutorId("ex-1"), ContainerId(container), since_ms);
    executor::RunUntil(loop, kPatienceMs, [this] { return granted.has_value(); });
    return granted;
  }

  bool up = false;
  std::string reason;
  std::string alarm;
  std::optional<std::vector<std::pair<ExecutorId, link::Slot>>> loaded;
  std::optional<std::vector<std::string>> executors;
  std::optional<bool> shared;
  std::optional<bool> granted;
  Directory directory;
};

}  // namespace hearth::dispatcher
