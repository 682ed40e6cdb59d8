// Connections, leases and epochs of dispatchers.
#include "executor/core/dispatchers.h"

#include <algorithm>
#include <utility>

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

void Dispatchers::Renew(const DispatcherId& dispatcher, std::int64_t sent_us) {
  if (sent_us > context_.now_us()) return;
  Lease& lease = leases_.at(dispatcher);
  lease.renewed_us = std::max(lease.renewed_us, sent_us);
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

void Dispatchers::SendHeartbeats(link::Heartbeat heartbeat) {
  heartbeat.sent_mono_us = context_.now_us();
  for (auto& [id, link] : links_) {
    heartbeat.sequence = ++link.heartbeats;
    Send(id, heartbeat);
  }
}

}  // namespace hearth::executor
