// The lives of machines, containers and attempts: three enumerations, and one function each that knows every legal
// move.
#pragma once

#include <cstdint>
#include <string_view>

namespace hearth::executor {

// creating → warm → assigned → draining → gone; suspect from anywhere, and then only gone. A machine serves one user
// for its whole life: nothing leads from assigned back to warm.
enum class MachineState : std::uint8_t { kCreating, kWarm, kAssigned, kDraining, kSuspect, kGone };

// creating → idle → busy → checking → idle, and from each of them gone. Checking: its run has ended, and the agent has
// not said yet whether something of it is left over. Gone is decided here; the memory is free when the agent has
// confirmed it.
enum class ContainerState : std::uint8_t { kCreating, kIdle, kBusy, kChecking, kGone };

// arrived ──▶ waiting ──▶ promised ──▶ running ──▶ publishing ──▶ ended
//    │           └────────────────────────▲
//    └────────────────────────────────────┘
//
// Arrived: it was accepted just now. Promised: a container is made for it, or will be once its code is there.
// Publishing: its result is on its way to Kafka. One that is cancelled goes from waiting or promised to publishing. An
// attempt can end from every phase but arrived.
enum class AttemptPhase : std::uint8_t { kArrived, kWaiting, kPromised, kRunning, kPublishing, kEnded };

[[nodiscard]] bool CanMove(MachineState from, MachineState to);
[[nodiscard]] bool CanMove(ContainerState from, ContainerState to);
[[nodiscard]] bool CanMove(AttemptPhase from, AttemptPhase to);

[[nodiscard]] std::string_view StateName(MachineState state);  // "creating", "warm", …
[[nodiscard]] std::string_view StateName(ContainerState state);

}  // namespace hearth::executor
