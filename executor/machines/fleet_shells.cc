// The half of a fleet that concerns shells: making them behind everything else, and turning one into a machine.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "executor/machines/fleet_machine.h"

namespace hearth::executor {

void Fleet::GreetUntilHello(Machine& machine) {
  machine.greeting = true;
  machine.link->Greet();
  machine.clock = std::make_unique<Timer>(loop_, [this, id = machine.id] {
    if (Machine* found = Find(*id); found != nullptr && found->link != nullptr) found->link->Greet();
  });
  machine.clock->StartEvery(kGreetAgainMs);
}

bool Fleet::Waits(const Machine& machine) const {
  return machine.shell && machine.created && !machine.removing && machine.link->connected();
}

std::int32_t Fleet::ShellsReady(const std::string& profile) const {
  return static_cast<std::int32_t>(std::count_if(machines_.begin(), machines_.end(), [&](const auto& each) {
    return each.second->profile == profile && Waits(*each.second);
  }));
}

void Fleet::TellShells(Line& line) {
  const std::int32_t ready = ShellsReady(line.profile.name);
  if (ready == std::exchange(line.shells_told, ready) || going_down_ || !callbacks_.shells) return;
  Later([this, profile = line.profile.name, ready] { callbacks_.shells(profile, ready); });
}

void Fleet::Use(const Profile& profile, std::shared_ptr<MachineStarter> starter) {
  Line& line = lines_[profile.name];
  line.profile = profile;
  line.starter = std::move(starter);
  line.retry_at_ms = 0;
  for (const auto& [id, machine] : machines_) {
    if (machine->shell && !machine->removing && machine->profile == profile.name &&
        machine->starter != line.starter.get()) {
      Remove(*machine);
    }
  }
  TellShells(line);
  MakeShells();
}

void Fleet::KeepShells(const Profile& profile, std::int32_t count) {
  Line& line = lines_[profile.name];
  line.profile = profile;
  line.shells_wanted = std::clamp(count, 0, kMaxShellsOfProfile);
  MakeShells();
}

bool Fleet::TakeShell(const MachineId& machine_id, Line& line, bool warm_up) {
  const auto found = std::find_if(machines_.begin(), machines_.end(), [&](const auto& each) {
    return each.second->profile == line.profile.name && each.second->starter == line.starter.get() &&
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
  machine.creating = true;
  machine.link->ExpectHelloWithin(options_.start_within_ms);
  machine.starter->Activate(machine.domain, [this, alive = alive_, machine_id](Result<void> result) {
    if (*alive) Created(machine_id, std::move(result));
  });
  MarkOwner(machine_id, UserId());  // the mark names the machine from then on
  TellShells(line);
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
    if (machine->shell && machine->creating) ++making;
    if (!machine->shell && !machine->watch && machine->creating) busy = true;
  }
  const auto now_ms = static_cast<std::int64_t>(uv_now(loop_.raw()));
  for (auto& [name, line] : lines_) {
    const bool possible = line.starter != nullptr && line.starter->has_shells();
    std::int32_t spare = possible ? line.shells_wanted : 0;
    for (const auto& [id, machine] : machines_) {
      if (!machine->shell || machine->removing || machine->profile != name) continue;
      if (--spare < 0 && !machine->creating) Remove(*machine);
    }
    TellShells(line);
    if (spare <= 0 || busy || making >= kShellsMadeAtOnce) continue;
    if (const auto from_ms = std::max(line.retry_at_ms, shells_from_ms_); from_ms > now_ms) {
      shell_retry_.StartOnce(from_ms - now_ms);
      continue;
    }
    MakeShell(line);
    ++making;
  }
}

void Fleet::MakeShell(Line& line) {
  const MachineId shell(
      fmt::format("{}-{}-shell-{}", options_.executor.value, options_.incarnation.substr(0, 8), next_shell_++));
  Machine& machine = Add(shell, line.profile, line.starter, *line.starter);
  machine.shell = true;
  if (auto prepared = Prepare(machine, 0); !prepared) {
    Later([this, shell, reason = prepared.error().message] { Broken(shell, reason); });
    return;
  }
  machine.asked = machine.creating = true;
  machine.starter->MakeShell(MakeSpec(machine, line.profile), [this, alive = alive_, shell](Result<void> result) {
    if (*alive) ShellMade(shell, std::move(result));
  });
}

void Fleet::ShellMade(const MachineId& shell, Result<void> result) {
  Machine* machine = Find(shell);
  if (machine == nullptr) return;
  machine->creating = false;
  machine->created = result.has_value();
  if (machine->removing) return Remove(*machine);
  if (!result || !machine->fault.empty()) {
    return Broken(shell, result ? std::move(machine->fault) : result.error().message);
  }
  MakeShells();  // tells, and goes on
}

void Fleet::ShellEnded(Machine& shell, const std::string& reason) {
  const bool was_made = shell.created;
  const bool was_asked = shell.asked;
  const std::string profile = shell.profile;
  const MachineStarter* starter = shell.starter;
  Remove(shell);
  Line& line = lines_[profile];
  line.retry_at_ms = static_cast<std::int64_t>(uv_now(loop_.raw())) + (was_made ? 0 : kShellRetryMs);
  TellShells(line);
  // One that waited and died says nothing of how it was made.
  if (!was_made && was_asked && callbacks_.outcome) callbacks_.outcome(profile, starter, "shell: " + reason);
  MakeShells();
}

}  // namespace hearth::executor
