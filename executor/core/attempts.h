// The attempts that this executor holds: those that wait, those that were promised a container, those that run, and
// those whose results are being published; and the ends of those it has held lately. Attempts is the only one who ends
// an attempt.
//
// It holds at any time:
// - phases change only as states.h allows;
// - an attempt is in the line of those that wait while it waits, in the line of those that were promised a container
//   while it is promised one, and in no line otherwise;
// - an attempt that publishes has a record in Kafka's client or a time at which it is tried again, but not both;
// - an attempt ends once. Its owner is told, and the done ring remembers the end until a commit covers it; but for one
//   that is refused or that nobody waits for any more;
// - nothing is published for a dispatcher whose lease is over.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "executor/core/attempt.h"
#include "executor/core/claims.h"
#include "executor/core/code_cache.h"
#include "executor/core/context.h"
#include "executor/core/dispatchers.h"
#include "executor/core/done_ring.h"
#include "schemas/link.h"
#include "schemas/result.h"

namespace hearth::executor {

constexpr std::int64_t kPublishRetryMs = 1000;
constexpr std::int64_t kSlowPublishMs = 250;  // a result that waits for its topic for longer holds no credit
constexpr std::int32_t kMaxLentCredit = 256;  // but so many such attempts at most are held beside the credit

class Attempts {
 public:
  using Line = std::map<std::uint64_t, Attempt*>;  // by order of arrival: the oldest is first

  Attempts(Context& context, CodeCache& codes, Dispatchers& dispatchers)
      : context_(context), codes_(codes), dispatchers_(dispatchers) {}

  [[nodiscard]] const std::map<AttemptKey, Attempt>& all() const { return attempts_; }
  [[nodiscard]] Attempt* Find(const AttemptKey& key);  // nullptr where it is not held
  [[nodiscard]] Attempt& Get(const AttemptKey& key) { return attempts_.at(key); }
  [[nodiscard]] std::int32_t held() const { return static_cast<std::int32_t>(attempts_.size()); }
  [[nodiscard]] const Line& waiting() const { return waiting_; }
  // Those that wait for a container of the function; those that were promised one. An empty line where there are none.
  [[nodiscard]] const Line& WaitingFor(const FunctionVersion& function) const;
  [[nodiscard]] const Line& PromisedFor(const FunctionVersion& function) const;
  [[nodiscard]] std::vector<Attempt*> OwnedBy(const DispatcherId& dispatcher);
  [[nodiscard]] std::size_t indexed() const;  // entries beside the attempts themselves: what would leak

  // ---- How many may be held.
  // Those that run or are about to, or whose results are on their way: all but those that wait.
  [[nodiscard]] std::int32_t active() const { return held() - static_cast<std::int32_t>(waiting_.size()); }
  // Of these so many may be held now. A result whose topic is not there takes nobody's place.
  [[nodiscard]] std::int32_t Credit() const { return context_.settings().credit + lent_credit_; }
  void LendCredit();  // for the results that are waiting now
  // Attempts that may be held now in all, as dispatchers count them: those that wait take nobody's place.
  [[nodiscard]] std::int32_t CreditInAll() const { return Credit() + static_cast<std::int32_t>(waiting_.size()); }
  [[nodiscard]] std::map<DispatcherId, Dispatchers::Held> HeldByDispatcher() const;
  // How many more attempts may wait; and whether one of the user may. A user may not take what is left to others: with
  // n others waiting at most 1 of n + 2 parts.
  [[nodiscard]] std::int32_t WaitingRoom() const;
  [[nodiscard]] bool MayWait(const UserId& user) const;
  // The ends that are owed leave no room for those of further attempts.
  [[nodiscard]] bool EndsFull() const { return ring_.full(); }

  // ---- An attempt's life.
  Attempt& Accept(AttemptKey key, link::Exec exec);                                                // → arrived
  void Wait(Attempt& attempt);                                                                     // → waiting
  void Promise(Attempt& attempt, std::uint64_t machine, std::uint32_t container, StartPath path);  // → promised
  void Run(Attempt& attempt, std::uint64_t machine, std::uint32_t container, StartPath path);      // → running
  // What goes into the machine, once.
  [[nodiscard]] std::string TakePayload(Attempt& attempt) { return std::move(attempt.exec_.payload); }
  // Its run is over, by what the guest claims of it and the host believes.
  void NoteRun(Attempt& attempt, const Claims& claims);
  // → publishing. The result needs only what the run has brought: the rest is filled in here.
  void Publish(Attempt& attempt, InvocationResult result);
  void Published(const PublishFinished& event);
  void PublishAgain();  // what waits for another try, and is due

  // ---- And its end. The attempt is gone afterwards.
  [[nodiscard]] link::Done DoneOf(const Attempt& attempt) const;  // with what is known of the attempt itself
  void Finish(Attempt& attempt, link::Done done);
  // The machinery failed it. One that publishes has run already: it goes on.
  void Fail(const AttemptKey& key, const std::string& reason);
  // Its lease is over: its owner, or the next one, is told that it was dropped.
  void Orphan(Attempt& attempt);
  // It is sent back to be placed elsewhere.
  void Refuse(Attempt& attempt, link::NackReason reason);
  // Nobody waits for it any more, and nobody is told.
  void Drop(Attempt& attempt) { Erase(attempt); }
  void ExpireWaiting();

  // ---- Ends that are remembered.
  // The end of the same attempt under the same epoch; nullptr where unknown.
  [[nodiscard]] const link::Done* FindEnd(const link::AttemptRef& ref) const { return ring_.Find(ref); }
  // The commit that covers the end is durable: it is no longer owed.
  void Acknowledge(const link::AttemptRef& ref) { ring_.Acknowledge(ref); }
  [[nodiscard]] std::size_t ends() const { return ring_.size(); }

  // ---- A new owner of a partition.
  struct Holdings {
    std::vector<link::Running> running;  // under the new epoch from now on
    std::vector<Attempt*> foreign;       // of another generation of the ledger
  };
  [[nodiscard]] Holdings Adopt(const PartitionId& partition, std::int64_t generation, std::int64_t epoch);
  // The ends that are owed to the owner, from `offset` on. Those of other generations are forgotten.
  [[nodiscard]] std::vector<link::Done> OwedEnds(const link::Fence& fence);

 private:
  void Move(Attempt& attempt, AttemptPhase to);
  void LeaveLines(Attempt& attempt);
  void Erase(Attempt& attempt);
  void HandOver(Attempt& attempt);  // its record to Kafka's client, if the lease still holds
  void TryAgain(Attempt& attempt, std::int64_t at_us);
  void GiveUpPublishing(Attempt& attempt);
  void Note(Trace::Kind kind, const Attempt& attempt, Status status, std::string_view reason);

  Context& context_;
  CodeCache& codes_;
  Dispatchers& dispatchers_;
  std::map<AttemptKey, Attempt> attempts_;
  Line waiting_;
  std::map<FunctionVersion, Line> waiting_for_;
  std::map<UserId, std::int32_t> waiting_of_;
  std::map<FunctionVersion, Line> promised_for_;
  std::set<std::pair<std::int64_t, std::uint64_t>> expiring_;    // of those that wait: when, order of arrival
  std::map<std::uint64_t, Attempt*> publishing_;                 // by token
  std::set<std::pair<std::int64_t, AttemptKey>> publish_again_;  // when
  DoneRing ring_;
  std::int32_t lent_credit_ = 0;
  std::uint64_t next_order_ = 1;
  std::uint64_t next_token_ = 1;
};

// What is told about the attempt that `exec` asks for, and where it is: a Trace, or a Tally where nobody reads names.
struct TracePlace {
  const Machine* machine = nullptr;  // nowhere
  std::uint32_t container = 0;
};
[[nodiscard]] Effect TraceOf(const Context& context, Trace::Kind kind, const link::Exec& exec, StartPath path,
                             Status status, std::string_view reason, TracePlace place = {});

}  // namespace hearth::executor
