// The agents inside of the simulated machines.
#include <algorithm>

#include "tests/simulation/world_nodes.h"

namespace hearth::simulation {
namespace {

// What user code does is decided by the request and the try alone, so that a repetition gives the same result.
Status StatusOf(const std::string& id, int attempt, int failing_percent) {
  const auto roll = static_cast<int>(std::hash<std::string>{}(id + "#" + std::to_string(attempt)) % 100);
  if (roll >= failing_percent) return Status::kOk;
  if (roll * 5 < failing_percent * 3) return Status::kError;
  return roll * 5 < failing_percent * 4 ? Status::kTimeout : Status::kOom;
}

}  // namespace

void World::FromGuest(int index, const MachineId& machine_id, guest::Frame frame, std::int64_t delay_us) {
  auto& node = *executors_[static_cast<std::size_t>(index)];
  auto& machine = node.machines.at(machine_id);
  machine.last_us = std::max(now_us_ + delay_us, machine.last_us + 1);
  At(machine.last_us - now_us_, [this, index, life = node.life, machine_id, frame = std::move(frame)] {
    auto& host = *executors_[static_cast<std::size_t>(index)];
    if (host.life == life && host.machines.contains(machine_id))
      StepExecutor(index, executor::GuestMessage{machine_id, frame});
  });
}

void World::Guest(int index, const MachineId& machine_id, const guest::Frame& frame) {
  auto& node = *executors_[static_cast<std::size_t>(index)];
  const auto found = node.machines.find(machine_id);
  if (found == node.machines.end()) return;
  Machine& machine = found->second;
  const auto reply = [&](guest::Message message, std::int64_t delay_us) {
    FromGuest(index, machine_id, {frame.stream, std::move(message)}, delay_us);
  };
  if (const auto* configure = std::get_if<guest::Configure>(&frame.message)) {
    machine.user = configure->user.value;
    reply(guest::Configured{"nonce"}, Between(500, 5000));
  } else if (const auto* create = std::get_if<guest::Create>(&frame.message)) {
    if (!machine.codes.contains(create->code.value)) return reply(guest::Created{"no such code"}, 500);
    if (Happens(Fault::kContainerDeath)) return reply(guest::ContainerGone{"died while made"}, 500);
    const auto slash = create->function.find('/');
    machine.boxes[frame.stream].user = create->function.substr(0, slash);
    machine.boxes[frame.stream].function = create->function.substr(slash + 1);
    reply(guest::Created{}, Between(2000, 50'000));
  } else if (const auto* run = std::get_if<guest::Run>(&frame.message)) {
    auto& box = machine.boxes[frame.stream];
    const auto& plan = options_.functions[std::stoul(box.function.substr(1))];
    auto status = options_.code_fails ? StatusOf(run->id.value, run->attempt, plan.failing_percent) : Status::kOk;
    // Whoever waits for a minute's time-out holds its place so long: few of those are enough.
    if (plan.slow && status == Status::kTimeout) status = Status::kError;
    const auto start_us = Between(100, 5000);
    auto run_us = Between(500, options_.longest_run_us);
    if (plan.slow && Happens(Fault::kSlowCode)) {
      run_us = Between(5'000'000, 45'000'000);
    } else if (status == Status::kTimeout) {
      run_us = run->timeout_ms * 1000LL;
    }
    const auto shown =
        options_.mutant == Mutant::kMixUpMachines ? "executor-" + std::to_string(index) : machine_id.value;
    Note("run " + run->id.value);
    JudgeRun(*run);
    box.busy = true;
    machine.runs[frame.stream] = history_.executions.size();
    box.run = {history_.executions.size(), ++sequence_};
    box.only_attempt = plan.max_attempts == 1;
    history_.executions.push_back({run->id.value, shown, frame.stream, box.user, now_us_, now_us_ + start_us + run_us,
                                   "executor-" + std::to_string(index), status != Status::kOk, false});
    history_.executions.back().unheard = true;
    if (const auto ordered = ordered_.find({"executor-" + std::to_string(index), run->id.value});
        ordered != ordered_.end())
      history_.executions.back().ordered_us = ordered->second;
    if (options_.mutant == Mutant::kRunTwice && Chance(50)) {
      auto twin = history_.executions.back();
      twin.begin_us += 1;
      history_.executions.push_back(twin);
    }
    guest::Ended ended;
    ended.id = run->id;
    ended.attempt = run->attempt;
    ended.status = status;
    ended.output = status == Status::kOk ? "out-" + run->id.value : "";
    ended.error_type = status == Status::kOk ? "" : "simulated";
    if (status != Status::kOk && Happens(Fault::kLargeText)) ended.error_message.assign(kMaxErrorMessageBytes, 'e');
    ended.start_us = start_us;
    ended.run_us = run_us;
    ended.total_us = start_us + run_us;
    const bool reusable = status == Status::kOk || (status == Status::kError && !Chance(100));
    const auto check_us = 20 + static_cast<std::int64_t>(box.run.serial * 797 % 3000);
    At(start_us + run_us, [this, index, life = node.life, machine_id, stream = frame.stream, serial = box.run.serial,
                           ended, reusable, check_us] {
      auto& host = *executors_[static_cast<std::size_t>(index)];
      if (host.life != life || !host.machines.contains(machine_id)) return;
      auto& boxes = host.machines.at(machine_id).boxes;
      const auto at = boxes.find(stream);
      if (at == boxes.end() || at->second.run.serial != serial || !at->second.busy) return;
      at->second.busy = false;
      FromGuest(index, machine_id, {stream, ended}, Between(50, 500));
      FromGuest(index, machine_id, {stream, guest::Checked{ended.run_us, reusable}}, check_us);
      if (!reusable) FromGuest(index, machine_id, {stream, guest::ContainerGone{"check failed"}}, 500);
    });
  } else if (std::holds_alternative<guest::Remove>(frame.message)) {
    if (const auto box = machine.boxes.find(frame.stream); box != machine.boxes.end()) {
      if (const auto& last = box->second.run; last.serial != 0) {
        if (box->second.busy) history_.executions[last.execution].end_us = now_us_;
      }
      machine.boxes.erase(box);
    }
    reply(guest::ContainerGone{"removed"}, Between(500, 5000));
  } else if (const auto* ping = std::get_if<guest::Ping>(&frame.message)) {
    reply(guest::Pong{ping->sequence}, Between(50, 500));
  }
}

}  // namespace hearth::simulation
