// An executor with machines, agents and a dispatcher that do what they are told, under virtual time: for what shows
// only over many steps. An auditor reads every step, and mutants show that it would object.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "executor/core/core.h"

namespace hearth::executor {

// Changes what the auditor sees, as if the core had lost a guard.
enum class Mutant : std::uint8_t { kNone, kSwapUser, kDoubleStart, kReapBusy, kGreedyRefill };

class Auditor {
 public:
  void Sees(const Effect& effect) {
    if (const auto* start = std::get_if<StartMachine>(&effect)) {
      if (!start->warm_up) {
        ++starts_for_requests;
        if (starts_for_requests > accepted) Object("more starts for requests than requests");
      } else if (shells_wanted > 0 && shells > 0 && shells <= shells_wanted / 2 && !held_for_long()) {
        Object("refill took a shell that is left to requests");
      }
      if (shells > 0) --shells;
    } else if (const auto* keep = std::get_if<KeepShells>(&effect)) {
      shells_wanted = keep->count;
    } else if (const auto* mark = std::get_if<MarkOwner>(&effect)) {
      Belongs(mark->machine, mark->user);
    } else if (const auto* trace = std::get_if<Trace>(&effect)) {
      if (trace->kind == Trace::Kind::kAccepted) ++accepted;
      if (trace->kind == Trace::Kind::kStarted) {
        Belongs(trace->machine, trace->user);
        if (!busy_.insert(trace->container).second) Object("two attempts at once in " + trace->container.value);
      }
      if (trace->kind == Trace::Kind::kContainerMoved && trace->to == "idle") busy_.erase(trace->container);  // checked
      if (trace->kind == Trace::Kind::kContainerMoved && trace->to == "gone") {
        if (busy_.erase(trace->container) > 0 && trace->reason == "idle") Object("a busy container was idle");
      }
    } else if (const auto* send = std::get_if<SendToGuest>(&effect)) {
      if (const auto* configure = std::get_if<guest::Configure>(&send->frame.message))
        Belongs(send->machine, configure->user);
      if (const auto* create = std::get_if<guest::Create>(&send->frame.message))
        Belongs(send->machine, UserId(create->function.substr(0, create->function.find('/'))));
    }
  }
  // Time goes by: shells that do not come back hold refill up for so long and no longer.
  void Pass(std::int64_t now_us) {
    now_us_ = now_us;
    if (shells > shells_wanted / 2) few_since_us_ = now_us;
  }
  void Object(const std::string& what) {
    if (objection.empty()) objection = what;
  }

  std::string objection;  // the first
  std::int64_t accepted = 0;
  std::int64_t starts_for_requests = 0;
  std::int32_t shells = 0;
  std::int32_t shells_wanted = 0;

 private:
  void Belongs(const MachineId& machine, const UserId& user) {
    const auto [found, is_new] = owners_.emplace(machine, user);
    if (found->second != user) Object("machine " + machine.value + " changed its user");
  }
  [[nodiscard]] bool held_for_long() const { return now_us_ - few_since_us_ > kRefillHeldMs * kMicrosPerMilli; }
  std::map<MachineId, UserId> owners_;
  std::set<ContainerId> busy_;
  std::int64_t now_us_ = 0;
  std::int64_t few_since_us_ = 0;
};

class SmallWorld {
 public:
  static constexpr LinkId kLink = 1;

  explicit SmallWorld(Settings settings, Mutant mutant = Mutant::kNone) : core(std::move(settings)), mutant_(mutant) {
    Step(Tick{});
    Step(DispatcherConnected{kLink, DispatcherId("d1")});
  }

  void Exec(const std::string& user, const std::string& function, std::int32_t memory_mib = 128,
            std::int64_t version = 1) {
    link::Exec exec;
    exec.ref = {{"t", 0}, next_offset_++, 1, 1};
    exec.id = InvocationId("inv" + std::to_string(exec.ref.offset));
    exec.final_try = true;
    exec.reply_to = "hearth.reply";
    exec.timeout_ms = 60'000;
    Function described;
    described.user = UserId(user);
    described.name = FunctionName(function);
    described.version = version;
    described.code = CodeHash(std::string(64, 'a'));
    described.memory_mib = memory_mib;
    exec.function = std::make_shared<const Function>(std::move(described));
    Step(DispatcherMessage{kLink, exec});
  }
  // Virtual time goes by; everything that is due happens in its order.
  void Pass(std::int64_t ms) {
    const auto end_us = now.mono_us + ms * kMicrosPerMilli;
    while (now.mono_us < end_us) {
      const auto tick_us = (now.mono_us / kTickUs + 1) * kTickUs;
      auto at_us = std::min(end_us, tick_us);
      if (!due_.empty()) at_us = std::min(at_us, std::max(now.mono_us, due_.begin()->first));
      now.wall_us += at_us - now.mono_us;
      now.mono_us = at_us;
      if (!due_.empty() && due_.begin()->first <= now.mono_us) {
        Event event = std::move(due_.begin()->second);
        due_.erase(due_.begin());
        Settle(event);
        Step(event);
      } else if (at_us == tick_us) {
        Step(Tick{});
      }
    }
  }
  void Step(const Event& event) {
    // A machine that is gone says nothing any more.
    if (const auto* frame = std::get_if<GuestMessage>(&event); frame != nullptr && !alive_.contains(frame->machine))
      return;
    if (const auto* ready = std::get_if<MachineReady>(&event)) {
      if (!alive_.contains(ready->machine)) return;
    }
    if (const auto* shells = std::get_if<ShellsChanged>(&event)) auditor.shells = shells->ready;
    auditor.Pass(now.mono_us);
    std::vector<Effect> effects;
    ++steps;
    core.Step(event, now, effects);
    for (auto& effect : effects) {
      if (mutant_ == Mutant::kNone) {
        auditor.Sees(effect);
      } else {
        SeesMutated(effect);
      }
      Do(effect);
    }
    if (after_step) after_step();
  }

  Time now{1'000'000, 1'700'000'000'000'000};
  Core core;
  Auditor auditor;
  std::map<StartPath, int> paths;  // of what was published
  std::map<link::Outcome, int> outcomes;
  int nacks = 0;
  int pool_starts = 0;
  std::int64_t steps = 0;
  std::int64_t run_ms = 20;
  std::int64_t restore_ms = 60;  // 0: there are no shells
  std::int64_t boot_ms = 1500;
  std::function<void()> after_step;

 private:
  static constexpr std::int64_t kTickUs = 50'000;

  void SeesMutated(const Effect& effect) {
    Effect seen = effect;
    if (auto* mark = std::get_if<MarkOwner>(&seen); mark != nullptr && mutant_ == Mutant::kSwapUser) {
      mark->user = UserId("somebody");
    }
    if (auto* start = std::get_if<StartMachine>(&seen)) {
      if (mutant_ == Mutant::kDoubleStart && !start->warm_up) auditor.Sees(seen);
      if (mutant_ == Mutant::kGreedyRefill) start->warm_up = true;
    }
    if (auto* trace = std::get_if<Trace>(&seen); trace != nullptr && mutant_ == Mutant::kReapBusy) {
      if (trace->kind == Trace::Kind::kEnded) {
        trace->kind = Trace::Kind::kContainerMoved;
        trace->to = "gone";
        trace->reason = "idle";
      }
    }
    auditor.Sees(seen);
  }
  void Later(std::int64_t ms, Event event) { due_.emplace(now.mono_us + ms * kMicrosPerMilli, std::move(event)); }
  void MakeShells() {
    while (restore_ms > 0 && shells_ + coming_ < shells_wanted_) {
      ++coming_;
      Later(200 * coming_, ShellsChanged{"default", -1});
    }
  }
  // A shell that was being made is ready: the world counts, the event says the number.
  void Settle(Event& event) {
    auto* shells = std::get_if<ShellsChanged>(&event);
    if (shells == nullptr || shells->ready >= 0) return;
    --coming_;
    shells->ready = ++shells_;
  }

  void Reply(const MachineId& machine, std::uint32_t stream, guest::Message message, std::int64_t ms) {
    Later(ms, GuestMessage{machine, {stream, std::move(message)}});
  }
  void Do(Effect& effect) {
    if (auto* start = std::get_if<StartMachine>(&effect)) {
      const bool shell = shells_ > 0;
      if (shell) Later(0, ShellsChanged{"default", --shells_});
      if (shell) MakeShells();
      if (start->warm_up) ++pool_starts;
      alive_.insert(start->machine);
      guest::Hello hello;
      hello.runtimes = {"python3", "native"};
      Later((shell ? restore_ms : boot_ms) + (start->warm_up ? 100 : 0),
            MachineReady{start->machine, shell ? StartPath::kRestore : StartPath::kBoot, hello});
    } else if (auto* keep = std::get_if<KeepShells>(&effect)) {
      shells_wanted_ = keep->count;
      MakeShells();
    } else if (auto* destroy = std::get_if<DestroyMachine>(&effect)) {
      alive_.erase(destroy->machine);
      Later(50, MachineDestroyed{destroy->machine});
    } else if (auto* load = std::get_if<LoadCode>(&effect)) {
      Later(2, CodeLoaded{load->user, load->hash, std::make_shared<const std::string>("code"), ""});
    } else if (auto* archive = std::get_if<SendArchive>(&effect)) {
      Later(1, ArchiveSent{archive->machine, archive->hash});
    } else if (auto* publish = std::get_if<Publish>(&effect)) {
      Later(1, PublishFinished{publish->token, true, ""});
    } else if (auto* send = std::get_if<SendToDispatcher>(&effect)) {
      if (const auto* done = std::get_if<link::Done>(&send->message)) {
        ++outcomes[done->outcome];
        if (done->outcome == link::Outcome::kPublished) ++paths[done->start_path];
      } else if (std::holds_alternative<link::Nack>(send->message)) {
        ++nacks;
      } else if (const auto* beat = std::get_if<link::Heartbeat>(&send->message)) {
        Later(1, DispatcherMessage{kLink, link::HeartbeatAck{beat->sequence, beat->sent_mono_us}});
      }
    } else if (auto* frame = std::get_if<SendToGuest>(&effect)) {
      const auto& [stream, message] = frame->frame;
      if (std::holds_alternative<guest::Configure>(message)) {
        Reply(frame->machine, 0, guest::Configured{"nonce"}, 1);
      } else if (std::holds_alternative<guest::Create>(message)) {
        Reply(frame->machine, stream, guest::Created{}, 5);
      } else if (std::holds_alternative<guest::Remove>(message)) {
        Reply(frame->machine, stream, guest::ContainerGone{"removed"}, 3);
      } else if (const auto* ping = std::get_if<guest::Ping>(&message)) {
        Reply(frame->machine, 0, guest::Pong{ping->sequence}, 1);
      } else if (const auto* run = std::get_if<guest::Run>(&message)) {
        guest::Ended ended;
        ended.id = run->id;
        ended.attempt = run->attempt;
        Reply(frame->machine, stream, ended, run_ms);
        Reply(frame->machine, stream, guest::Checked{0, true}, run_ms);
      }
    }
  }

  std::multimap<std::int64_t, Event> due_;
  std::set<MachineId> alive_;
  std::int64_t next_offset_ = 0;
  int shells_ = 0, shells_wanted_ = 0, coming_ = 0;
  const Mutant mutant_;
};

}  // namespace hearth::executor
