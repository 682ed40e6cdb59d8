// What dispatchers ask, what they are told, and what becomes of the attempts of those that are gone.
#include <algorithm>
#include <iterator>

#include "executor/core/core.h"

namespace hearth::executor {
namespace {

// The first `most` of a list, taken out of it.
template <class T>
std::vector<T> TakeChunk(std::vector<T>& list, std::size_t most) {
  const auto end = list.begin() + static_cast<std::ptrdiff_t>(std::min(most, list.size()));
  std::vector<T> chunk(std::make_move_iterator(list.begin()), std::make_move_iterator(end));
  list.erase(list.begin(), end);
  return chunk;
}

}  // namespace

void Core::On(const DispatcherConnected& event) {
  dispatchers_.Connect(event.link, event.dispatcher);
  link::ExecutorHello hello = Hello();
  std::vector<link::Slot> rest = machines_.Slots();
  hello.slots = TakeChunk(rest, link::kMaxListed);
  dispatchers_.Send(event.link, std::move(hello));
  while (!rest.empty()) dispatchers_.Send(event.link, link::SlotReport{TakeChunk(rest, link::kMaxListed)});
}

void Core::On(const DispatcherDisconnected& event) {
  dispatchers_.Disconnect(event.link);
  pools_.ForgetBacklog(event.link);
}

void Core::On(DispatcherMessage& event) {
  const DispatcherId* dispatcher = dispatchers_.SpeakerOf(event.link);
  if (dispatcher == nullptr) return;
  if (auto* exec = std::get_if<link::Exec>(&event.message)) {
    OnExec(event.link, *dispatcher, *exec);
  } else if (const auto* fence = std::get_if<link::Fence>(&event.message)) {
    OnFence(event.link, *dispatcher, *fence);
  } else if (const auto* cancel = std::get_if<link::Cancel>(&event.message)) {
    OnCancel(*cancel);
  } else if (const auto* drop = std::get_if<link::Drop>(&event.message)) {
    OnDrop(*drop);
  } else if (const auto* done = std::get_if<link::DoneAck>(&event.message)) {
    OnDoneAck(*dispatcher, done->ref);
  } else if (const auto* ack = std::get_if<link::HeartbeatAck>(&event.message)) {
    dispatchers_.Renew(*dispatcher, *ack);
  } else if (const auto* demand = std::get_if<link::Demand>(&event.message)) {
    pools_.SetBacklog(event.link, *demand);
  }
}

void Core::OnExec(LinkId link, const DispatcherId& dispatcher, link::Exec& exec) {
  const auto nack = [&](const Refusal& refusal) {
    dispatchers_.Send(link, link::Nack{exec.ref, refusal.first});
    context_.Emit(TraceOf(context_, Trace::Kind::kNacked, exec, StartPath::kNone, Status::kOk, refusal.second));
  };
  if (!dispatchers_.Admit(exec.ref.partition, exec.ref.epoch, dispatcher, link)) {
    return nack({link::NackReason::kFenced, "fenced"});
  }
  if (const auto* done = attempts_.FindEnd(exec.ref)) return dispatchers_.Send(link, *done);
  auto key = KeyOf(exec.ref);
  if (attempts_.Find(key) != nullptr) return;
  if (!MayReplyTo(exec)) return RefuseReply(link, exec);
  if (const auto refusal = RefusalOf(exec, dispatcher)) return nack(*refusal);
  Attempt& attempt = attempts_.Accept(std::move(key), std::move(exec));
  // The warm way: nothing else is looked at, and the attempt never waits.
  if (!scheduler_.RunWarm(attempt)) attempts_.Wait(attempt);
}

bool Core::MayReplyTo(const link::Exec& exec) const {
  if (exec.item) return exec.reply_to == context_.settings().batch_results_topic;
  return !exec.reply_to.empty() && ReplyTopicAllowed(context_.settings().replies, exec.reply_to);
}

// The dispatcher has other rules than this executor: that is told as what it is, and not tried for ever.
void Core::RefuseReply(LinkId link, const link::Exec& exec) {
  link::Done done;
  done.ref = exec.ref;
  done.id = exec.id;
  done.outcome = link::Outcome::kInfrastructure;
  done.error_type = "reply_topic_not_allowed";
  done.error_message = "executor " + context_.settings().id.value + " does not reply to the topic " + exec.reply_to;
  done.try_number = exec.try_number;
  dispatchers_.Send(link, std::move(done));
}

std::optional<Core::Refusal> Core::RefusalOf(const link::Exec& exec, const DispatcherId& dispatcher) const {
  const Settings& settings = context_.settings();
  if (context_.draining()) return Refusal{link::NackReason::kDraining, "draining"};
  if (attempts_.active() >= attempts_.Credit()) return Refusal{link::NackReason::kBusy, "credit"};
  if (attempts_.EndsFull()) return Refusal{link::NackReason::kBusy, "unacknowledged_ends"};
  if (!dispatchers_.LeaseHolds(dispatcher)) return Refusal{link::NackReason::kBusy, "no_lease"};
  if (!registry_.MayRun(exec.function)) return Refusal{link::NackReason::kUnknownFunction, "unknown_function"};
  const auto index = settings.ProfileOf(*exec.function);
  if (index == settings.profiles.size()) return Refusal{link::NackReason::kUnknownProfile, "unknown_profile"};
  const Profile& profile = settings.profiles[index];
  if (exec.function->memory_mib > profile.memory_mib - profile.reserve_mib) {
    return Refusal{link::NackReason::kNoCapacity, "larger_than_machine"};
  }
  if (!pools_.Runs(index, exec.function->runtime)) {
    return Refusal{link::NackReason::kNoCapacity, "runtime_not_in_image"};
  }
  if (!attempts_.MayWait(exec.function->user) && !scheduler_.HasWarm(VersionOf(*exec.function)) &&
      !scheduler_.MayPlaceAtOnce(*exec.function)) {
    return Refusal{link::NackReason::kNoMachine, "waiting"};
  }
  return std::nullopt;
}

void Core::OnFence(LinkId link, const DispatcherId& dispatcher, const link::Fence& fence) {
  if (!dispatchers_.Admit(fence.partition, fence.epoch, dispatcher, link)) {
    // Tells a dispatcher that was overtaken how far: it claims the partition anew or lets go of it.
    link::FenceReport refusal{fence.partition, dispatchers_.OwnerOf(fence.partition).epoch, {}, {}};
    refusal.refused = true;
    return dispatchers_.Send(link, std::move(refusal));
  }
  auto [running, foreign] = attempts_.Adopt(fence.partition, fence.generation, fence.epoch);
  for (Attempt* attempt : foreign) LetGo(*attempt, "of another generation");
  auto finished = attempts_.OwedEnds(fence);
  link::FenceReport report{fence.partition, fence.epoch, {}, {}};
  do {
    report.running = TakeChunk(running, link::kMaxListed);
    report.finished = TakeChunk(finished, link::kMaxListed - report.running.size());
    report.more = !running.empty() || !finished.empty();
    dispatchers_.Send(link, report);
  } while (report.more);
}

// The result says that it was cancelled. One whose result is being published already has ended before.
void Core::OnCancel(const link::Cancel& cancel) {
  Attempt* attempt = attempts_.Find(KeyOf(cancel.ref));
  if (attempt == nullptr || attempt->phase() == AttemptPhase::kPublishing) return;
  if (attempt->has_container()) {
    Machine& machine = machines_.Get(attempt->machine());
    Container& container = machine.Get(attempt->container());
    machines_.Release(container);
    // A container that waits for its code has nobody to be made for any more. One that is made already is used by
    // others.
    if (attempt->phase() == AttemptPhase::kRunning || !container.create_sent()) {
      machines_.Remove(machine, container, "cancelled");
    }
  }
  InvocationResult result;
  result.status = Status::kCancelled;
  result.error_type = "cancelled";
  attempts_.Publish(*attempt, std::move(result));
  context_.AskToSchedule();
}

void Core::OnDrop(const link::Drop& drop) {
  Attempt* attempt = attempts_.Find(KeyOf(drop.ref));
  if (attempt == nullptr || attempt->phase() == AttemptPhase::kPublishing) return;
  if (dispatchers_.OwnerOf(drop.ref.partition).epoch == drop.ref.epoch) LetGo(*attempt, "dropped");
}

void Core::OnDoneAck(const DispatcherId& dispatcher, const link::AttemptRef& ref) {
  const Ownership& owner = dispatchers_.OwnerOf(ref.partition);
  if (owner.dispatcher == dispatcher && owner.epoch == ref.epoch) attempts_.Acknowledge(ref);
}

link::ExecutorHello Core::Hello() const {
  link::ExecutorHello hello;
  hello.executor = context_.settings().id;
  hello.incarnation = context_.settings().incarnation;
  hello.acceleration = context_.settings().acceleration;
  hello.credit = attempts_.CreditInAll();
  hello.draining = context_.draining();
  hello.profiles = pools_.Capacities();
  hello.waiting_room = attempts_.WaitingRoom();
  hello.waiting = static_cast<std::int32_t>(attempts_.waiting().size());
  return hello;
}

void Core::SendHeartbeats() {
  attempts_.LendCredit();
  link::Heartbeat heartbeat;
  heartbeat.waiting_room = attempts_.WaitingRoom();
  heartbeat.draining = context_.draining();
  heartbeat.leaves = drained_;
  heartbeat.profiles = pools_.Capacities();
  dispatchers_.SendHeartbeats(std::move(heartbeat), attempts_.Credit(), attempts_.HeldByDispatcher());
}

void Core::ReportSlots() {
  std::vector<link::Slot> slots = machines_.TakeChanges();
  while (!slots.empty()) dispatchers_.TellAll(link::SlotReport{TakeChunk(slots, link::kMaxListed)});
}

// A dispatcher that acknowledged no heartbeat for the grace may have been replaced by one that places the work again:
// what runs for it ends, and nothing is published. Whoever owns the partition next is told of it. Records that are in
// Kafka's client may not have been sent: they are asked back, and dropped when they come.
void Core::DropOrphans() {
  for (const auto& dispatcher : dispatchers_.TakeEndedLeases()) {
    bool in_client = false;
    for (Attempt* attempt : attempts_.OwnedBy(dispatcher)) {
      if (attempt->in_client()) {
        in_client = true;
        continue;
      }
      TakeContainer(*attempt, "orphaned");
      attempts_.Orphan(*attempt);
    }
    if (in_client) context_.Emit(PurgePublishes{});
  }
}

}  // namespace hearth::executor
