// Attempts: their lines, their phases and their ends. attempts_publish.cc has how results are published.
#include "executor/core/attempts.h"

#include <algorithm>
#include <cstdlib>

#include "common/base/text.h"

namespace hearth::executor {

Effect TraceOf(const Context& context, Trace::Kind kind, const link::Exec& exec, StartPath path, Status status,
               std::string_view reason, TracePlace place) {
  if (!context.settings().detailed_traces && kind != Trace::Kind::kOrphaned) {
    return Tally{kind, status, path, exec.times};
  }
  Trace trace;
  trace.kind = kind;
  trace.status = status;
  trace.path = path;
  trace.times = exec.times;
  trace.ref = exec.ref;
  trace.id = exec.id;
  trace.user = exec.function->user;
  trace.function = exec.function->name;
  trace.reason = reason;
  if (place.machine != nullptr) {
    trace.machine = place.machine->id();
    trace.container = IdOf(*place.machine, place.container);
  }
  return trace;
}

void Attempts::Note(Trace::Kind kind, const Attempt& attempt, Status status, std::string_view reason) {
  context_.Emit(TraceOf(context_, kind, attempt.exec_, attempt.path_, status, reason));
}

Attempt* Attempts::Find(const AttemptKey& key) {
  const auto found = attempts_.find(key);
  return found == attempts_.end() ? nullptr : &found->second;
}

namespace {

const Attempts::Line& LineOf(const std::map<FunctionVersion, Attempts::Line>& lines, const FunctionVersion& function) {
  static const Attempts::Line none;
  const auto line = lines.find(function);
  return line == lines.end() ? none : line->second;
}

}  // namespace

const Attempts::Line& Attempts::WaitingFor(const FunctionVersion& function) const {
  return LineOf(waiting_for_, function);
}

const Attempts::Line& Attempts::PromisedFor(const FunctionVersion& function) const {
  return LineOf(promised_for_, function);
}

std::map<DispatcherId, Dispatchers::Held> Attempts::HeldByDispatcher() const {
  std::map<DispatcherId, Dispatchers::Held> held;
  for (const auto& [key, attempt] : attempts_) {
    Dispatchers::Held& its = held[dispatchers_.OwnerOf(attempt.exec().ref.partition).dispatcher];
    ++(attempt.phase() == AttemptPhase::kWaiting ? its.waiting : its.active);
  }
  return held;
}

std::vector<Attempt*> Attempts::OwnedBy(const DispatcherId& dispatcher) {
  std::vector<Attempt*> owned;
  for (auto& [key, attempt] : attempts_) {
    if (dispatchers_.OwnerOf(PartitionOf(key)).dispatcher == dispatcher) owned.push_back(&attempt);
  }
  return owned;
}

std::size_t Attempts::indexed() const {
  std::size_t count = expiring_.size() + publishing_.size() + publish_again_.size() + waiting_of_.size();
  for (const auto& [function, line] : waiting_for_) count += line.size();
  for (const auto& [function, line] : promised_for_) count += line.size();
  return count;
}

std::int32_t Attempts::WaitingRoom() const {
  return std::max(0, context_.settings().waiting - static_cast<std::int32_t>(waiting_.size()));
}

bool Attempts::MayWait(const UserId& user) const {
  const auto own = waiting_of_.find(user);
  const bool waits = own != waiting_of_.end();
  const auto others = static_cast<std::int32_t>(waiting_of_.size()) - (waits ? 1 : 0);
  const std::int32_t share = std::max(1, context_.settings().waiting / (others + 2));
  return WaitingRoom() > 0 && (!waits || own->second < share);
}

Attempt& Attempts::Accept(AttemptKey key, link::Exec exec) {
  const auto [at, is_new] = attempts_.try_emplace(std::move(key));
  if (!is_new) std::abort();  // it is held already
  Attempt& attempt = at->second;
  attempt.key_ = &at->first;
  attempt.exec_ = std::move(exec);
  attempt.order_ = next_order_++;
  attempt.why_.Accepted(context_.now_us());
  // From here on only the monotonic clock counts: an invocation does not expire because somebody sets the time.
  if (const auto expires_ms = attempt.exec_.expires_ms; expires_ms != 0) {
    attempt.expires_us_ = std::max<std::int64_t>(1, context_.After(expires_ms) - context_.now().wall_us);
  }
  Note(Trace::Kind::kAccepted, attempt, Status::kOk, {});
  return attempt;
}

void Attempts::Wait(Attempt& attempt) {
  Move(attempt, AttemptPhase::kWaiting);
  waiting_.emplace(attempt.order_, &attempt);
  waiting_for_[VersionOf(attempt.function())].emplace(attempt.order_, &attempt);
  ++waiting_of_[attempt.function().user];
  if (attempt.expires_us_ != 0) expiring_.emplace(attempt.expires_us_, attempt.order_);
  context_.AskToSchedule();
}

void Attempts::Promise(Attempt& attempt, std::uint64_t machine, std::uint32_t container, StartPath path) {
  Move(attempt, AttemptPhase::kPromised);
  promised_for_[VersionOf(attempt.function())].emplace(attempt.order_, &attempt);
  attempt.machine_ = machine;
  attempt.container_ = container;
  attempt.path_ = path;
}

void Attempts::Run(Attempt& attempt, std::uint64_t machine, std::uint32_t container, StartPath path) {
  Move(attempt, AttemptPhase::kRunning);
  attempt.machine_ = machine;
  attempt.container_ = container;
  attempt.path_ = path;
  attempt.run_sent_ = context_.now();
  attempt.exec_.times.leased_us = context_.now().wall_us;
}

void Attempts::NoteRun(Attempt& attempt, const Claims& claims) {
  Times& times = attempt.exec_.times;
  times.started_us = attempt.run_sent_.wall_us + claims.start_us;
  times.ended_us = times.started_us + claims.run_us;
}

void Attempts::Move(Attempt& attempt, AttemptPhase to) {
  if (!CanMove(attempt.phase_, to)) std::abort();  // a fault of ours: states.cc has all moves
  LeaveLines(attempt);
  attempt.phase_ = to;
}

void Attempts::LeaveLines(Attempt& attempt) {
  const bool waits = attempt.phase_ == AttemptPhase::kWaiting;
  if (!waits && attempt.phase_ != AttemptPhase::kPromised) return;
  auto& lines = waits ? waiting_for_ : promised_for_;
  if (const auto line = lines.find(VersionOf(attempt.function())); line != lines.end()) {
    line->second.erase(attempt.order_);
    if (line->second.empty()) lines.erase(line);
  }
  if (waits) {
    waiting_.erase(attempt.order_);
    const auto of_user = waiting_of_.find(attempt.function().user);
    if (--of_user->second == 0) waiting_of_.erase(of_user);
    if (attempt.expires_us_ != 0) expiring_.erase({attempt.expires_us_, attempt.order_});
  } else {
    codes_.StopWaiting({attempt.function().user, attempt.function().code}, attempt.key());
  }
}

void Attempts::Erase(Attempt& attempt) {
  Move(attempt, AttemptPhase::kEnded);
  if (attempt.token_ != 0) publishing_.erase(attempt.token_);
  if (attempt.again_us_ != 0) publish_again_.erase({attempt.again_us_, attempt.key()});
  attempts_.erase(attempts_.find(attempt.key()));
}

link::Done Attempts::DoneOf(const Attempt& attempt) const {
  link::Done done;
  done.ref = attempt.exec_.ref;
  done.id = attempt.exec_.id;
  done.start_path = attempt.path_;
  done.times = attempt.exec_.times;
  done.try_number = attempt.exec_.try_number;
  return done;
}

void Attempts::Finish(Attempt& attempt, link::Done done) {
  const PartitionId partition = attempt.partition();
  Erase(attempt);
  ring_.Add(done, context_.now_us());
  dispatchers_.Tell(partition, std::move(done));
}

void Attempts::Fail(const AttemptKey& key, const std::string& reason) {
  Attempt* attempt = Find(key);
  if (attempt == nullptr || attempt->phase_ == AttemptPhase::kPublishing) return;
  link::Done done = DoneOf(*attempt);
  done.outcome = link::Outcome::kInfrastructure;
  done.status = Status::kError;
  done.error_type = "infrastructure";
  done.error_message = CutText(reason, kMaxErrorMessageBytes);
  Finish(*attempt, std::move(done));
}

void Attempts::Orphan(Attempt& attempt) {
  Note(Trace::Kind::kOrphaned, attempt, Status::kCancelled, "no dispatcher renewed the lease");
  link::Done done = DoneOf(attempt);
  done.outcome = link::Outcome::kInfrastructure;
  done.status = Status::kError;
  done.error_type = "orphaned";
  Finish(attempt, std::move(done));
  context_.AskToSchedule();
}

void Attempts::Refuse(Attempt& attempt, link::NackReason reason) {
  dispatchers_.Tell(attempt.partition(), link::Nack{attempt.exec_.ref, reason});
  Erase(attempt);
}

void Attempts::ExpireWaiting() {
  while (!expiring_.empty() && expiring_.begin()->first <= context_.now_us()) {
    Attempt& attempt = *waiting_.at(expiring_.begin()->second);
    link::Done done = DoneOf(attempt);
    done.outcome = link::Outcome::kExpired;
    done.status = Status::kExpired;
    Finish(attempt, std::move(done));
  }
}

Attempts::Holdings Attempts::Adopt(const PartitionId& partition, std::int64_t generation, std::int64_t epoch) {
  Holdings holdings;
  for (auto& [key, attempt] : attempts_) {
    if (PartitionOf(key) != partition) continue;
    link::Exec& exec = attempt.exec_;
    if (exec.ref.generation != generation) {
      holdings.foreign.push_back(&attempt);
      continue;
    }
    exec.ref.epoch = epoch;
    holdings.running.push_back({exec.ref, exec.id, exec.times.enqueued_us});
  }
  return holdings;
}

std::vector<link::Done> Attempts::OwedEnds(const link::Fence& fence) {
  return ring_.Report(fence.partition, fence.generation, fence.committed_offset, fence.epoch);
}

}  // namespace hearth::executor
