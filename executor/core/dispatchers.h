// The dispatchers that are connected, the leases under which their attempts run here, and which of them owns which
// partition. Dispatchers is the only one who sends to them.
//
// It holds at any time:
// - of several connections of one dispatcher only the newest is obeyed;
// - a lease ends orphan_grace_ms after the sending of the last heartbeat that was acknowledged;
// - the end of a lease is told once, and its beginning anew makes it tellable again;
// - the epoch of a partition only rises (fencing.h).
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "executor/core/context.h"
#include "executor/core/fencing.h"
#include "schemas/link.h"

namespace hearth::executor {

constexpr std::int64_t kMaxWanting = 1'000'000;  // users; more of them weigh no more

class Dispatchers {
 public:
  explicit Dispatchers(Context& context) : context_(context) {}

  // The dispatcher's lease begins anew, and what its older connections still say is not obeyed.
  void Connect(LinkId link, const DispatcherId& dispatcher);
  void Disconnect(LinkId link) { links_.erase(link); }
  // Whom the connection speaks for; nullptr where it is to be ignored.
  [[nodiscard]] const DispatcherId* SpeakerOf(LinkId link) const;

  // The dispatcher has acknowledged a heartbeat, by the time at which it was sent. A time to come renews nothing.
  void Renew(const DispatcherId& dispatcher, const link::HeartbeatAck& ack);
  [[nodiscard]] bool LeaseHolds(const DispatcherId& dispatcher) const;
  // Those whose leases have ended since the last call.
  [[nodiscard]] std::vector<DispatcherId> TakeEndedLeases();

  // False: the epoch is fenced, and the partition stays whose it is. Else the partition is the dispatcher's.
  [[nodiscard]] bool Admit(const PartitionId& partition, std::int64_t epoch, const DispatcherId& dispatcher,
                           LinkId link);
  [[nodiscard]] const Ownership& OwnerOf(const PartitionId& partition) const { return fencing_.Of(partition); }

  void Send(LinkId link, link::Message message) { context_.Emit(SendToDispatcher{link, std::move(message)}); }
  // To the owner of the partition, where it is connected.
  void Tell(const PartitionId& partition, link::Message message);
  void TellAll(const link::SlotReport& report);
  // True once in each interval: heartbeats are to be sent now.
  [[nodiscard]] bool TakeHeartbeatDue();
  // What is held of a dispatcher.
  struct Held {
    std::int32_t active = 0;  // attempts that take a place
    std::int32_t waiting = 0;
  };
  // To all, with their own sequence numbers, the time of now, and their own parts of the credit.
  void SendHeartbeats(link::Heartbeat heartbeat, std::int32_t credit, const std::map<DispatcherId, Held>& held);

 private:
  struct Link {
    DispatcherId dispatcher;
    std::uint64_t heartbeats = 0;  // sent
  };
  struct Lease {
    std::int64_t renewed_us = 0;  // send time of the last acknowledged heartbeat
    bool told = false;            // that it has ended
    LinkId link = 0;              // the newest connection
    std::int64_t wanting = 0;     // users of the dispatcher that want a place, by the last acknowledgement
  };

  [[nodiscard]] bool Holds(const Lease& lease) const;

  Context& context_;
  std::map<LinkId, Link> links_;
  std::map<DispatcherId, Lease> leases_;
  Fencing fencing_;
  std::int64_t next_heartbeat_us_ = 0;
};

}  // namespace hearth::executor
