// The executors: who is connected, when each was heard, and what each of them holds. Executors is the only one who says
// what an executor can take.
//
// It holds at any time, once Advance was called in the step:
// - Places counts each executor as it is: what it can take, its credit, and what of it is held by attempts that take
//   long;
// - what is placed with an executor is the sum of what it was promised, function version by function version;
// - a lease ends once: it is over until something is heard of the executor.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <queue>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "dispatcher/core/claims.h"
#include "dispatcher/core/context.h"
#include "dispatcher/core/events.h"
#include "dispatcher/core/placement.h"
#include "dispatcher/core/places.h"
#include "dispatcher/core/warm.h"
#include "schemas/function.h"
#include "schemas/link.h"

namespace hearth::dispatcher {

constexpr std::int64_t kStallMs = 1000;  // without a tick for so long we stood still, and what was sent to us is unread
constexpr std::int64_t kStallGraceMs = 1000;  // so long after a stall nobody's silence is judged

// What an attempt counts for where it is placed.
struct Hold {
  RequestClass request_class = RequestClass::kStandard;
  bool is_long = false;  // it takes long (shares.h)
};

// An executor as the dispatcher knows it. Everybody may read it; only Executors changes it.
class Executor {
 public:
  [[nodiscard]] const ExecutorId& id() const { return id_; }
  [[nodiscard]] const std::string& incarnation() const { return incarnation_; }
  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] bool draining() const { return draining_; }
  [[nodiscard]] bool lease_over() const { return lease_over_; }
  [[nodiscard]] bool leaves() const { return leaves_; }  // it has drained: once disconnected, it is gone
  [[nodiscard]] std::int64_t heard_us() const { return heard_us_; }
  [[nodiscard]] std::int32_t placed() const { return placed_; }  // attempts of ours
  [[nodiscard]] std::int32_t held() const { return placed_ + held_by_others_; }
  [[nodiscard]] std::int32_t free_credit() const { return credit_ - held(); }

 private:
  friend class Executors;
  using Version = std::pair<UserId, std::pair<FunctionName, std::int64_t>>;
  struct Promise {
    std::int32_t count = 0;
    std::int32_t memory_mib = 0;
  };

  ExecutorId id_;
  std::string incarnation_;
  bool connected_ = false;
  bool draining_ = false;
  bool lease_over_ = false;
  bool leaves_ = false;  // it has drained, and holds nothing of anybody
  std::int32_t credit_ = 0;
  std::int32_t held_by_others_ = 0;
  std::int32_t placed_ = 0;
  std::int32_t waiting_ = 0;               // of what it holds: these wait for a machine
  std::int32_t waiting_room_ = 0;          // further attempts that may wait for a machine there
  std::set<UserId> without_waiting_room_;  // users whom it has refused since it said so
  std::int64_t heard_us_ = 0;
  std::map<std::string, link::ProfileCapacity> profiles_;
  std::map<std::string, std::int64_t> cooling_until_us_;  // by profile; "" for all
  std::map<Version, Promise> promised_;
  std::vector<link::ProfileDemand> demand_told_;
  std::array<std::int64_t, kRequestClasses> held_long_{};  // of ours, by attempts that take long
  Places::Part part_;                                      // as it is counted in Places
  bool is_counted_ = false;
  bool changed_ = false;         // profiles or cooling are others than when it was counted
  std::int64_t look_at_us_ = 0;  // when time alone changes it; 0: never
};

class Executors {
 public:
  Executors(Context& context, const Warm& warm, const Claims& claims)
      : context_(context), warm_(warm), claims_(claims) {}

  [[nodiscard]] const std::map<ExecutorId, Executor>& all() const { return executors_; }
  [[nodiscard]] Executor* Find(const ExecutorId& id);  // nullptr where there is none
  [[nodiscard]] const Executor* Find(const ExecutorId& id) const;

  // ---- Links and leases.
  // A process begins, or is back: what was known of its links, its refusals and its capacity is forgotten.
  Executor& Connect(const link::ExecutorHello& hello);
  void Disconnect(Executor& executor);
  // It has said something. True: its lease was over, and what it may run was placed again elsewhere.
  [[nodiscard]] bool Hear(Executor& executor);
  // Returns users whom it had refused to let wait for a machine, and may take on again.
  std::set<UserId> TakeHeartbeat(Executor& executor, const link::Heartbeat& heartbeat);
  // Time goes by. While we stood still nobody was heard: heartbeats lie unread in the sockets, and silence says
  // nothing.
  void Tick();
  [[nodiscard]] bool MayJudgeSilence() const { return context_.now_us() >= lenient_until_us_; }
  // Those whose lease has run out since they were asked for last: from now on it is over.
  [[nodiscard]] std::vector<ExecutorId> TakeSilent();
  // Its lease is over, its connection is gone, and nothing that was placed with it is waited for: it is forgotten.
  void Erase(const ExecutorId& id);

  // ---- Executors that are known by their address, and were not heard of yet.
  void Expect(const std::vector<std::string>& addresses);
  void Unexpect(const std::string& address) { expected_.erase(address); }
  [[nodiscard]] const std::set<std::string>& expected() const { return expected_; }

  // ---- What they can take.
  // All of them together. Kinds of places are numbered there.
  [[nodiscard]] Places& places() { return places_; }
  // Time goes by: who is silent counts as suspect, and who has cooled down is asked again. To be called first in a
  // step.
  void Advance();
  // Everybody is looked at anew.
  void RecountPlaces();
  // Whether an executor has refused to let one more attempt of the user wait for a machine, and has said nothing since.
  [[nodiscard]] bool HasRefused(const UserId& user) const;
  [[nodiscard]] Candidate Describe(const Executor& executor, const Function& function) const;
  // An attempt is placed with it, in a container of that function version.
  void Place(Executor& executor, const UserId& user, const FunctionName& function, std::int64_t version,
             std::int32_t memory_mib, Hold hold = {});
  // An attempt that was placed there is waited for no more. The executor may be gone.
  void GiveBack(const ExecutorId& id, const UserId& user, const FunctionName& function, std::int64_t version,
                Hold hold = {});
  // An attempt will take one of what the executor has said to have of the profile; the next heartbeat says what is
  // left.
  void Spend(Executor& executor, const std::string& profile, StartPath path);
  // It has refused: of the profile, or of all where `profile` is empty, it gets nothing for so long.
  void Cool(Executor& executor, const std::string& profile, std::int64_t ms);
  // It has refused the user for want of a machine: until it is heard again, only what need not wait goes there.
  void NoteNoMachine(Executor& executor, const UserId& user);
  // It has said that it drains.
  void StopTaking(Executor& executor);

  // ---- What they are told of the work that has no place yet.
  [[nodiscard]] std::int64_t takers() const;  // connected and not draining
  // Each of them that was told otherwise last. Who drains is told of nothing.
  void TellDemand(const std::vector<link::ProfileDemand>& share);

 private:
  [[nodiscard]] bool Suspect(const Executor& executor) const;
  [[nodiscard]] bool Cools(const Executor& executor, const std::string& profile) const;
  void Review(Executor& executor);  // after every change of what an executor can take
  [[nodiscard]] static bool HasRuntime(const link::ProfileCapacity& profile, Runtime runtime);
  [[nodiscard]] std::vector<Places::Line> LinesOf(const Executor& executor);
  void LookAgain(Executor& executor);  // when time alone changes it next

  Context& context_;
  const Warm& warm_;
  const Claims& claims_;
  std::map<ExecutorId, Executor> executors_;
  Places places_;
  using Look = std::pair<std::int64_t, ExecutorId>;
  std::set<ExecutorId> quiet_;  // suspect or not connected: the only ones whose leases can be over
  std::priority_queue<Look, std::vector<Look>, std::greater<>> looks_;
  std::set<std::string> expected_;
  std::int64_t ticked_us_ = 0;
  std::int64_t lenient_until_us_ = 0;
};

}  // namespace hearth::dispatcher
