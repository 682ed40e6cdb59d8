// Dispatchers: what they ask, what they are told, and when they count as gone.
#include <algorithm>

#include "executor/core/core_state.h"

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

void Core::State::On(const DispatcherConnected& event) {
  links[event.link] = {event.dispatcher, 0};
  leases[event.dispatcher] = {context_.now_us(), false, event.link};
  link::ExecutorHello hello = Hello();
  std::vector<link::Slot> rest = std::move(hello.slots);
  hello.slots = TakeChunk(rest, link::kMaxListed);
  context_.Emit(SendToDispatcher{event.link, std::move(hello)});
  while (!rest.empty())
    context_.Emit(SendToDispatcher{event.link, link::SlotReport{TakeChunk(rest, link::kMaxListed)}});
  next_heartbeat_us = context_.now_us();
}

void Core::State::On(const DispatcherDisconnected& event) {
  if (links.erase(event.link) > 0) pools_.ForgetBacklog(event.link);
}

void Core::State::On(const DispatcherMessage& event) {
  const auto found = links.find(event.link);
  if (found == links.end()) return;
  const DispatcherId dispatcher = found->second.dispatcher;
  if (leases.at(dispatcher).link != event.link) return;
  if (const auto* exec = std::get_if<link::Exec>(&event.message)) {
    OnExec(event.link, *exec);
  } else if (const auto* fence = std::get_if<link::Fence>(&event.message)) {
    OnFence(event.link, *fence);
  } else if (const auto* cancel = std::get_if<link::Cancel>(&event.message)) {
    OnCancel(*cancel);
  } else if (const auto* drop = std::get_if<link::Drop>(&event.message)) {
    OnDrop(*drop);
  } else if (const auto* done = std::get_if<link::DoneAck>(&event.message)) {
    OnDoneAck(dispatcher, done->ref);
  } else if (const auto* ack = std::get_if<link::HeartbeatAck>(&event.message)) {
    // An acknowledgement is worth the time at which its heartbeat was sent, and never the future.
    Lease& lease = leases.at(dispatcher);
    if (ack->sent_mono_us <= context_.now_us()) lease.renewed_us = std::max(lease.renewed_us, ack->sent_mono_us);
  } else if (const auto* demand = std::get_if<link::Demand>(&event.message)) {
    pools_.SetBacklog(event.link, *demand);
  }
}

void Core::State::OnExec(LinkId link, const link::Exec& exec) {
  const auto nack = [&](link::NackReason reason, const char* why) {
    context_.Emit(SendToDispatcher{link, link::Nack{exec.ref, reason}});
    Trace trace{
        Trace::Kind::kNacked, exec.ref,   exec.id, exec.function.user, exec.function.name, {}, {}, {}, {}, Status::kOk,
        StartPath::kNone,     exec.times, why};
    context_.Emit(std::move(trace));
  };
  const auto& dispatcher = links.at(link).dispatcher;
  if (fencing.Admit(exec.ref.partition, exec.ref.epoch, dispatcher, link) == Admission::kFenced) {
    return nack(link::NackReason::kFenced, "fenced");
  }
  if (const auto* done = ring.Find(exec.ref)) {
    context_.Emit(SendToDispatcher{link, *done});
    return;
  }
  const auto key = KeyOf(exec.ref);
  if (attempts.contains(key)) return;
  if (!MayReplyTo(exec)) return RefuseReply(link, exec);
  if (const auto refusal = RefusalOf(exec, dispatcher)) return nack(refusal->first, refusal->second);
  Attempt attempt;
  attempt.exec = exec;
  attempt.order = next_order++;
  attempt.why.accepted_us = context_.now_us();
  // From here on only the monotonic clock counts: an invocation does not expire because somebody sets the time.
  if (exec.expires_ms != 0) {
    attempt.expires_us = std::max<std::int64_t>(1, context_.After(exec.expires_ms) - context_.now().wall_us);
  }
  context_.Emit(Trace{Trace::Kind::kAccepted,
                      exec.ref,
                      exec.id,
                      exec.function.user,
                      exec.function.name,
                      {},
                      {},
                      {},
                      {},
                      Status::kOk,
                      StartPath::kNone,
                      exec.times,
                      {}});
  Attempt& placed = attempts.emplace(key, std::move(attempt)).first->second;
  // The warm way: nothing else is looked at, and the attempt never waits.
  if (auto [machine, container] = machines_.FindIdle(VersionOf(placed.exec.function)); container != nullptr) {
    placed.path = StartPath::kContainer;
    placed.why.Note(Rung::kContainer, "idle_container");
    return Run(key, placed, *machine, *container);
  }
  Queue(key, placed);
  context_.AskToSchedule();
}

bool Core::State::MayReplyTo(const link::Exec& exec) const {
  return !exec.reply_to.empty() && ReplyTopicAllowed(context_.settings().replies, exec.reply_to);
}

// Its dispatcher has other rules than this executor: that is told as what it is, and not tried for ever.
void Core::State::RefuseReply(LinkId link, const link::Exec& exec) {
  link::Done done;
  done.ref = exec.ref;
  done.id = exec.id;
  done.outcome = link::Outcome::kInfrastructure;
  done.error_type = "reply_topic_not_allowed";
  done.error_message = "executor " + context_.settings().id.value + " does not reply to the topic " + exec.reply_to;
  done.try_number = exec.try_number;
  context_.Emit(SendToDispatcher{link, std::move(done)});
}

std::optional<Core::State::Refusal> Core::State::RefusalOf(const link::Exec& exec,
                                                           const DispatcherId& dispatcher) const {
  const Settings& settings = context_.settings();
  if (context_.draining()) return Refusal{link::NackReason::kDraining, "context_.draining()"};
  if (static_cast<std::int32_t>(attempts.size()) >= Credit()) return Refusal{link::NackReason::kBusy, "credit"};
  if (ring.full()) return Refusal{link::NackReason::kBusy, "unacknowledged_ends"};
  if (!LeaseHolds(dispatcher)) return Refusal{link::NackReason::kBusy, "no_lease"};
  if (!registry.MayRun(exec.function)) return Refusal{link::NackReason::kUnknownFunction, "unknown_function"};
  const auto index = settings.ProfileOf(exec.function);
  if (index == settings.profiles.size()) return Refusal{link::NackReason::kUnknownProfile, "unknown_profile"};
  const Profile& profile = settings.profiles[index];
  if (exec.function.memory_mib > profile.memory_mib - profile.reserve_mib) {
    return Refusal{link::NackReason::kNoCapacity, "larger_than_machine"};
  }
  if (!pools_.Runs(index, exec.function.runtime)) {
    return Refusal{link::NackReason::kNoCapacity, "runtime_not_in_image"};
  }
  return std::nullopt;
}

void Core::State::OnFence(LinkId link, const link::Fence& fence) {
  const auto& dispatcher = links.at(link).dispatcher;
  if (fencing.Admit(fence.partition, fence.epoch, dispatcher, link) == Admission::kFenced) {
    // Tells a dispatcher that was overtaken how far: it claims the partition anew or lets go of it.
    link::FenceReport refusal{fence.partition, fencing.Of(fence.partition).epoch, {}, {}};
    refusal.refused = true;
    context_.Emit(SendToDispatcher{link, std::move(refusal)});
    return;
  }
  std::vector<link::Running> running;
  std::vector<AttemptKey> foreign;
  for (auto at = attempts.lower_bound({fence.partition, INT64_MIN, INT64_MIN, INT32_MIN});
       at != attempts.end() && std::get<0>(at->first) == fence.partition; ++at) {
    link::Exec& exec = at->second.exec;
    if (exec.ref.generation != fence.generation) {
      foreign.push_back(at->first);
      continue;
    }
    exec.ref.epoch = fence.epoch;
    running.push_back({exec.ref, exec.id, exec.times.enqueued_us});
  }
  for (const AttemptKey& key : foreign) LetGo(key, "of another generation");
  auto finished = ring.Report(fence.partition, fence.generation, fence.committed_offset, fence.epoch);
  link::FenceReport report{fence.partition, fence.epoch, {}, {}};
  do {
    report.running = TakeChunk(running, link::kMaxListed);
    report.finished = TakeChunk(finished, link::kMaxListed - report.running.size());
    report.more = !running.empty() || !finished.empty();
    context_.Emit(SendToDispatcher{link, report});
  } while (report.more);
}

void Core::State::OnDrop(const link::Drop& drop) {
  const auto found = attempts.find(KeyOf(drop.ref));
  if (found == attempts.end() || found->second.phase == Phase::kPublishing) return;
  if (fencing.Of(drop.ref.partition).epoch != drop.ref.epoch) return;
  LetGo(found->first, "dropped");
}

void Core::State::OnDoneAck(const DispatcherId& dispatcher, const link::AttemptRef& ref) {
  const Ownership& owner = fencing.Of(ref.partition);
  if (owner.dispatcher == dispatcher && owner.epoch == ref.epoch) ring.Acknowledge(ref);
}

bool Core::State::LeaseHolds(const DispatcherId& dispatcher) const {
  const auto lease = leases.find(dispatcher);
  return lease != leases.end() &&
         context_.now_us() - lease->second.renewed_us <= context_.settings().orphan_grace_ms * kMicrosPerMilli;
}

void Core::State::OnCancel(const link::Cancel& cancel) {
  const auto key = KeyOf(cancel.ref);
  const auto found = attempts.find(key);
  if (found == attempts.end() || found->second.phase == Phase::kPublishing) return;
  Attempt& attempt = found->second;
  Unqueue(key, attempt);
  if (attempt.phase == Phase::kRunning || attempt.phase == Phase::kPromised) {
    Machine& machine = machines_.Get(attempt.machine);
    Container& container = machine.Get(attempt.container);
    machines_.Release(container);
    // One that waits for its code has nobody to be made for any more.
    if (attempt.phase == Phase::kRunning || !container.create_sent()) {
      machines_.Remove(machine, container, "cancelled");
    }
  }
  InvocationResult result;
  result.status = Status::kCancelled;
  result.error_type = "cancelled";
  PublishResult(key, attempt, result);
  context_.AskToSchedule();
}

void Core::State::Reply(const PartitionId& partition, link::Message message) {
  const LinkId link = fencing.Of(partition).link;
  if (links.contains(link)) context_.Emit(SendToDispatcher{link, std::move(message)});
}

std::int32_t Core::State::SlowlyPublishing() const {
  const auto slow = [this](const auto& one) {
    const Attempt& attempt = one.second;
    return attempt.phase == Phase::kPublishing &&
           context_.now_us() - attempt.publishing_since_us > kSlowPublishMs * kMicrosPerMilli;
  };
  return std::min(kMaxLentCredit, static_cast<std::int32_t>(std::ranges::count_if(attempts, slow)));
}

void Core::State::Heartbeats() {
  if (context_.now_us() < next_heartbeat_us) return;
  next_heartbeat_us = context_.now_us() + link::kHeartbeatMs * kMicrosPerMilli;
  lent_credit = SlowlyPublishing();
  if (links.empty()) return;
  const auto capacities = pools_.Capacities();
  for (auto& [id, state] : links) {
    context_.Emit(SendToDispatcher{
        id, link::Heartbeat{++state.heartbeat, context_.now_us(), Credit(), static_cast<std::int32_t>(attempts.size()),
                            context_.draining(), capacities}});
  }
}

void Core::State::ReportSlots() {
  std::vector<link::Slot> slots = machines_.TakeChanges();
  while (!slots.empty()) {
    const link::SlotReport report{TakeChunk(slots, link::kMaxListed)};
    for (const auto& [id, state] : links) context_.Emit(SendToDispatcher{id, report});
  }
}

link::ExecutorHello Core::State::Hello() const {
  link::ExecutorHello hello;
  hello.executor = context_.settings().id;
  hello.incarnation = context_.settings().incarnation;
  hello.acceleration = context_.settings().acceleration;
  hello.credit = Credit();
  hello.draining = context_.draining();
  hello.profiles = pools_.Capacities();
  hello.slots = machines_.Slots();
  return hello;
}

}  // namespace hearth::executor
