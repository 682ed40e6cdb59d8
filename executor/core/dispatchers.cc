// Connections, leases and epochs of dispatchers.
#include "executor/core/dispatchers.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "executor/core/credit.h"

namespace hearth::executor {

void Dispatchers::Connect(LinkId link, const DispatcherId& dispatcher) {
  links_[link] = {dispatcher, 0};
  leases_[dispatcher] = {context_.now_us(), false, link};
  next_heartbeat_us_ = context_.now_us();
}

const DispatcherId* Dispatchers::SpeakerOf(LinkId link) const {
  const auto found = links_.find(link);
  if (found == links_.end() || leases_.at(found->second.dispatcher).link != link) return nullptr;
  return &found->second.dispatcher;
}

void Dispatchers::Renew(const DispatcherId& dispatcher, const link::HeartbeatAck& ack) {
  if (ack.sent_mono_us > context_.now_us()) return;
  Lease& lease = leases_.at(dispatcher);
  lease.renewed_us = std::max(lease.renewed_us, ack.sent_mono_us);
  lease.wanting = std::clamp<std::int64_t>(ack.wanting, 0, kMaxWanting);
}

bool Dispatchers::Holds(const Lease& lease) const {
  return context_.now_us() - lease.renewed_us <= context_.settings().orphan_grace_ms * kMicrosPerMilli;
}

bool Dispatchers::LeaseHolds(const DispatcherId& dispatcher) const {
  const auto lease = leases_.find(dispatcher);
  return lease != leases_.end() && Holds(lease->second);
}

std::vector<DispatcherId> Dispatchers::TakeEndedLeases() {
  std::vector<DispatcherId> ended;
  for (auto& [dispatcher, lease] : leases_) {
    const bool has_ended = !Holds(lease);
    if (has_ended && !lease.told) ended.push_back(dispatcher);
    lease.told = has_ended;
  }
  return ended;
}

bool Dispatchers::Admit(const PartitionId& partition, std::int64_t epoch, const DispatcherId& dispatcher, LinkId link) {
  return fencing_.Admit(partition, epoch, dispatcher, link) != Admission::kFenced;
}

void Dispatchers::Tell(const PartitionId& partition, link::Message message) {
  const LinkId link = OwnerOf(partition).link;
  if (links_.contains(link)) Send(link, std::move(message));
}

void Dispatchers::TellAll(const link::SlotReport& report) {
  for (const auto& [id, link] : links_) Send(id, report);
}

bool Dispatchers::TakeHeartbeatDue() {
  if (context_.now_us() < next_heartbeat_us_) return false;
  next_heartbeat_us_ = context_.After(link::kHeartbeatMs);
  return true;
}

void Dispatchers::SendHeartbeats(link::Heartbeat heartbeat, std::int32_t credit,
                                 const std::map<DispatcherId, Held>& held) {
  // Whoever is connected has a part, and whoever holds something has it.
  std::map<DispatcherId, DispatcherUse> uses;
  for (const auto& [id, link] : links_) uses[link.dispatcher].wanting = leases_.at(link.dispatcher).wanting;
  std::int32_t of_nobody = 0;
  for (const auto& [dispatcher, each] : held) {
    const auto use = uses.find(dispatcher);
    (use == uses.end() ? of_nobody : use->second.active) += each.active;
  }
  std::vector<DispatcherUse> in_order;
  in_order.reserve(uses.size());
  for (const auto& [dispatcher, use] : uses) in_order.push_back(use);
  const auto told = DivideCredit(credit - of_nobody, in_order);

  heartbeat.sent_mono_us = context_.now_us();
  for (auto& [id, link] : links_) {
    const auto index = std::distance(uses.begin(), uses.find(link.dispatcher));
    const auto own = held.find(link.dispatcher);
    const Held its = own == held.end() ? Held{} : own->second;
    heartbeat.credit = told[static_cast<std::size_t>(index)] + its.waiting;
    heartbeat.held = its.active + its.waiting;
    heartbeat.waiting = its.waiting;
    heartbeat.sequence = ++link.heartbeats;
    Send(id, heartbeat);
  }
}

}  // namespace hearth::executor
