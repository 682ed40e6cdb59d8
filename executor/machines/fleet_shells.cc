// The half of a fleet that concerns shells: making them behind everything else, and turning one into a machine.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "executor/machines/fleet_machine.h"

namespace hearth::executor {

void Fleet::GreetUntilHello(Machine& machine) {
  machine.link->Greet();
  machine.clock = std::make_unique<Timer>(loop_, [this, id = machine.id] {
    if (Machine* found = Find(*id); found != nullptr && found->link != nullptr) found->link->Greet();
  });
  machine.clock->StartEvery(kGreetAgainMs);
}

bool Fleet::Waits(const Machine& machine) const {
  return machine.stage() == MachineStage::kWaitingShell && machine.link->connected();
}

std::int32_t Fleet::ShellsReady(const std::string& profile) const {
  return static_cast<std::int32_t>(std::count_if(machines_.begin(), machines_.end(), [&](const auto& each) {
    return each.second->profile == profile && Waits(*each.second);
  }));
}

void Fleet::TellShells(Supply& supply) {
  const std::int32_t ready = ShellsReady(supply.profile.name);
  if (ready == std::exchange(supply.shells_told, ready) || going_down_ || !callbacks_.shells) return;
  Later([this, profile = supply.profile.name, ready] { callbacks_.shells(profile, ready); });
}

void Fleet::Use(const Profile& profile, std::shared_ptr<MachineStarter> starter) {
  Supply& supply = supplies_[profile.name];
  supply.profile = profile;
  supply.starter = std::move(starter);
  supply.retry_at_ms = 0;
  for (const auto& [id, machine] : machines_) {
    if (machine->shell && !machine->removing() && machine->profile == profile.name &&
        machine->starter != supply.starter.get()) {
      Remove(*machine);
    }
  }
  TellShells(supply);
  MakeShells();
}

void Fleet::KeepShells(const Profile& profile, std::int32_t count) {
  Supply& supply = supplies_[profile.name];
  supply.profile = profile;
  supply.shells_wanted = std::clamp(count, 0, kMaxShellsOfProfile);
  MakeShells();
}

bool Fleet::TakeShell(const MachineId& machine_id, Supply& supply, bool warm_up) {
  const auto found = std::find_if(machines_.begin(), machines_.end(), [&](const auto& each) {
    return each.second->profile == supply.profile.name && each.second->starter == supply.starter.get() &&
           Waits(*each.second);
  });
  if (found == machines_.end()) return false;
  auto node = machines_.extract(found);
  node.key() = machine_id;
  Machine& machine = *node.mapped();
  machines_.insert(std::move(node));
  machine.machine_id = machine_id;
  *machine.id = machine_id;
  machine.shell = false;
  machine.warm_up = warm_up;
  machine.Move(MachineStage::kFilling);
  machine.answer_owed = true;
  machine.link->ExpectHelloWithin(options_.start_within_ms);
  machine.starter->Activate(machine.domain, [this, alive = alive_, machine_id](Result<void> result) {
    if (*alive) Created(machine_id, std::move(result));
  });
  MarkOwner(machine_id, UserId());  // the mark names the machine from then on
  TellShells(supply);
  const auto now_ms = static_cast<std::int64_t>(uv_now(loop_.raw()));
  if (!warm_up && now_ms - shells_from_ms_ > kShellYieldMs) shells_from_ms_ = now_ms + kShellYieldMs;
  Later([this] { MakeShells(); });
  return true;
}

void Fleet::MakeShells() {
  if (going_down_) return;
  std::int32_t making = 0;
  bool busy = false;  // machines that are wanted now go first
  for (const auto& [id, machine] : machines_) {
    if (machine->shell && machine->answer_owed) ++making;
    if (!machine->shell && !machine->watch && machine->answer_owed) busy = true;
  }
  const auto now_ms = static_cast<std::int64_t>(uv_now(loop_.raw()));
  for (auto& [name, supply] : supplies_) {
    const bool possible = supply.starter != nullptr && supply.starter->has_shells();
    std::int32_t spare = possible ? supply.shells_wanted : 0;
    for (const auto& [id, machine] : machines_) {
      if (!machine->shell || machine->removing() || machine->profile != name) continue;
      if (--spare < 0 && !machine->answer_owed) Remove(*machine);
    }
    TellShells(supply);
    if (spare <= 0 || busy || making >= kShellsMadeAtOnce) continue;
    if (const auto from_ms = std::max(supply.retry_at_ms, shells_from_ms_); from_ms > now_ms) {
      shell_retry_.StartOnce(from_ms - now_ms);
      continue;
    }
    MakeShell(supply);
    ++making;
  }
}

void Fleet::MakeShell(Supply& supply) {
  const MachineId shell(
      fmt::format("{}-{}-shell-{}", options_.executor.value, options_.incarnation.substr(0, 8), next_shell_++));
  Machine& machine = Add(shell, supply.profile, supply.starter, *supply.starter);
  machine.shell = true;
  if (auto opened = OpenSocket(machine, 0); !opened) {
    Later([this, shell, reason = opened.error().message] { Broken(shell, reason); });
    return;
  }
  machine.Move(MachineStage::kCreating);
  machine.answer_owed = true;
  machine.starter->MakeShell(MakeSpec(machine, supply.profile), [this, alive = alive_, shell](Result<void> result) {
    if (*alive) ShellMade(shell, std::move(result));
  });
}

void Fleet::ShellMade(const MachineId& shell, Result<void> result) {
  Machine* machine = Find(shell);
  if (machine == nullptr) return;
  machine->answer_owed = false;
  if (machine->removing()) return DestroyDomain(*machine);
  if (result) machine->Move(MachineStage::kWaitingShell);
  if (!result || !machine->fault.empty()) {
    return Broken(shell, result ? std::move(machine->fault) : result.error().message);
  }
  Share(*machine);
  MakeShells();  // tells, and goes on
}

void Fleet::ShellEnded(Machine& shell, const std::string& reason) {
  const MachineStage stage = shell.stage();
  const std::string profile = shell.profile;
  const MachineStarter* starter = shell.starter;
  Remove(shell);
  Supply& supply = supplies_[profile];
  supply.retry_at_ms =
      static_cast<std::int64_t>(uv_now(loop_.raw())) + (stage == MachineStage::kWaitingShell ? 0 : kShellRetryMs);
  TellShells(supply);
  // One that waited and died says nothing of how it was made.
  if (stage == MachineStage::kCreating && callbacks_.outcome) callbacks_.outcome(profile, starter, "shell: " + reason);
  MakeShells();
}

}  // namespace hearth::executor
