// How far a machine of a fleet has come, from the order to start it until nothing of it is left. One enumeration, and
// one function that knows every legal move. What becomes of a machine that is ready is the core's affair
// (executor/core/states.h).
//
//   kPreparing ──▶ kCreating ───────────────────────────▶ kGreeting ──▶ kWarmingUp ──▶ kReady
//                      │                                      ▲  └───────────────────────▲
//                      └──▶ kWaitingShell ──▶ kFilling ───────┘
//   any ──▶ kRemoving ──libvirt has confirmed──▶ gone
//
// HELLO may come before libvirt has answered the order that brought the machine up. Then kGreeting is left out:
// kCreating and kFilling lead to kWarmingUp and kReady too.
#pragma once

#include <cstdint>
#include <string_view>

namespace hearth::executor {

enum class MachineStage : std::uint8_t {
  kPreparing,     // its folder and its socket are made
  kCreating,      // libvirt makes the domain, of a machine or of a shell
  kWaitingShell,  // the domain of a shell is there and can be filled
  kFilling,       // the shell was taken, and is given the state of a saved machine
  kGreeting,      // the domain runs, and its agent has not said HELLO
  kWarmingUp,     // HELLO came; each runtime runs once before the machine is handed out
  kReady,
  kRemoving,
};

[[nodiscard]] bool CanMove(MachineStage from, MachineStage to);

[[nodiscard]] std::string_view StageName(MachineStage stage);  // "preparing", "creating", …

}  // namespace hearth::executor
