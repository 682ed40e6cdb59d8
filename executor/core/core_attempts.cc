// The end of attempts: results, publishing, failures, orphans.
#include <algorithm>

#include "common/base/text.h"
#include "executor/core/claims.h"
#include "executor/core/core_state.h"

namespace hearth::executor {

void Core::State::Note(Trace::Kind kind, const Attempt& attempt, Status status, std::string reason) {
  const link::Exec& exec = attempt.exec;
  context_.Emit(Trace{kind,
                      exec.ref,
                      exec.id,
                      exec.function.user,
                      exec.function.name,
                      {},
                      {},
                      {},
                      {},
                      status,
                      attempt.path,
                      exec.times,
                      std::move(reason)});
}

link::Done Core::State::DoneOf(const Attempt& attempt) const {
  link::Done done;
  done.ref = attempt.exec.ref;
  done.id = attempt.exec.id;
  done.start_path = attempt.path;
  done.times = attempt.exec.times;
  done.try_number = attempt.exec.try_number;
  return done;
}

void Core::State::OnEnded(Machine& machine, std::uint32_t number, const guest::Ended& ended) {
  Container* container = machine.Find(number);
  if (container == nullptr || container->state() == ContainerState::kGone) return Unasked(machine);
  if (container->state() != ContainerState::kBusy || !container->attempt()) {
    return Condemn(machine, "ended what did not run");
  }
  const AttemptKey key = *container->attempt();
  Attempt& attempt = attempts.at(key);
  const bool known_status = ended.status == Status::kOk || ended.status == Status::kError ||
                            ended.status == Status::kTimeout || ended.status == Status::kOom;
  if (ended.id != attempt.exec.id || ended.attempt != attempt.exec.try_number || !known_status) {
    return Condemn(machine, "the agent's answer does not fit the attempt");
  }
  const std::int64_t took_us = context_.now_us() - attempt.run_sent.mono_us;
  const std::int64_t machine_mib = machine.memory_mib();
  const Claims claims = ClaimsOf(ended, took_us, machine_mib << 20);
  Times& times = attempt.exec.times;
  times.started_us = attempt.run_sent.wall_us + claims.start_us;
  times.ended_us = times.started_us + claims.run_us;

  InvocationResult result;
  result.status = ended.status;
  result.error_type = CutText(ended.error_type, kMaxIdentifierBytes);
  result.error_message = CutText(ended.error_message, kMaxErrorMessageBytes);
  result.output = ended.output;
  result.log_tail = ended.log_tail;
  result.log_truncated = ended.log_bytes > static_cast<std::int64_t>(ended.log_tail.size());
  result.memory_peak_bytes = claims.memory_peak_bytes;
  result.billed_ms = (took_us + kMicrosPerMilli - 1) / kMicrosPerMilli;  // the host's own, whatever the guest claims
  result.machine = machine.id();
  result.container = IdOf(machine, number);
  result.acceleration = context_.settings().acceleration;

  const link::Exec& exec = attempt.exec;
  context_.Emit(PublishUsage{Usage{exec.id, exec.function.user, exec.function.name, exec.function.version,
                                   exec.try_number, ended.status, attempt.path, times.started_us, times.ended_us,
                                   result.billed_ms, exec.function.memory_mib, claims.memory_peak_bytes, claims.cpu_us,
                                   context_.settings().id, machine.id()}});
  context_.Emit(Trace{Trace::Kind::kEnded,
                      exec.ref,
                      exec.id,
                      exec.function.user,
                      exec.function.name,
                      machine.id(),
                      result.container,
                      {},
                      {},
                      ended.status,
                      attempt.path,
                      times,
                      result.error_type});

  machines_.Release(*container);
  attempt.machine = 0;
  if (ended.status == Status::kOk || exec.final_try) {
    PublishResult(key, attempt, result);
  } else {
    link::Done done = DoneOf(attempt);
    done.outcome = link::Outcome::kFailed;
    done.status = ended.status;
    done.error_type = result.error_type;
    done.error_message = result.error_message;
    done.billed_ms = result.billed_ms;
    Finish(key, std::move(done));
  }
  if (!ended.reusable) return machines_.AwaitGone(machine, *container, "not reusable");
  machines_.TurnIdle(machine, *container, "ready");
  Serve(machine, *container);
}

void Core::State::PublishResult(const AttemptKey& key, Attempt& attempt, const InvocationResult& given) {
  const link::Exec& exec = attempt.exec;
  InvocationResult result = given;
  result.id = exec.id;
  result.user = exec.function.user;
  result.function = exec.function.name;
  result.version = exec.function.version;
  result.attempt = exec.try_number;
  result.start_path = attempt.path;
  result.times = exec.times;
  result.epoch = exec.ref.epoch;
  result.executor = context_.settings().id;
  result.traceparent = exec.traceparent;
  result.why = attempt.why.Text(exec.why, attempt.run_sent.mono_us);
  if (result.content_type.empty()) result.content_type = exec.content_type;
  if (result.output.size() > kMaxOutputBytes) {
    result.status = Status::kError;
    result.error_type = "result_too_large";
    result.error_message = "the result has more than " + std::to_string(kMaxOutputBytes) + " bytes";
    result.output.clear();
  }
  attempt.done = DoneOf(attempt);
  attempt.done.outcome = link::Outcome::kPublished;
  attempt.done.status = result.status;
  attempt.done.error_type = result.error_type;
  attempt.done.error_message = result.error_message;
  attempt.done.billed_ms = result.billed_ms;
  attempt.record = EncodeReply(result, exec.form, exec.reply_to);
  if (attempt.phase != Phase::kPublishing) attempt.publishing_since_us = context_.now_us();
  attempt.phase = Phase::kPublishing;
  HandOver(key);
}

// An executor that was cut off publishes nothing: its dispatcher may have been replaced by one that places the work
// again.
void Core::State::HandOver(const AttemptKey& key) {
  if (!LeaseHolds(fencing.Of(std::get<0>(key)).dispatcher)) return Orphan(key);
  const auto token = next_token++;
  publishing.emplace(token, key);
  context_.Emit(Publish{token, attempts.at(key).record});
}

void Core::State::On(const PublishFinished& event) {
  const auto node = publishing.extract(event.token);
  if (node.empty()) return;
  const AttemptKey key = node.mapped();
  Attempt& attempt = attempts.at(key);
  if (event.ok) {
    attempt.done.ref.epoch = attempt.exec.ref.epoch;  // may have been adopted meanwhile
    Note(Trace::Kind::kPublished, attempt, attempt.done.status, attempt.to_undeliverable ? "undeliverable" : "");
    return Finish(key, attempt.done);
  }
  if (event.purged) return HandOver(key);
  if (event.permanent && attempt.to_undeliverable) return GiveUpPublishing(key);
  if (!attempt.to_undeliverable) {
    attempt.to_undeliverable = true;
    MarkUndeliverable(attempt.record, event.error);
    attempt.record.topic = context_.settings().undeliverable_topic;
    publish_again.insert({context_.now_us(), key});
  } else {
    publish_again.insert({context_.After(kPublishRetryMs), key});
  }
  PublishAgain();
}

// No topic takes the record: what can be left out of it is, once, and then the attempt ends. Nothing is tried for ever.
void Core::State::GiveUpPublishing(const AttemptKey& key) {
  Attempt& attempt = attempts.at(key);
  if (!std::exchange(attempt.shrunk, true)) {
    attempt.to_undeliverable = false;
    InvocationResult result;
    result.status = Status::kError;
    result.error_type = "result_too_large";
    result.error_message = "the result cannot be written to any topic";
    result.billed_ms = attempt.done.billed_ms;
    return PublishResult(key, attempt, result);
  }
  Note(Trace::Kind::kPublished, attempt, attempt.done.status, "given_up: no topic takes the result");
  attempt.done.ref.epoch = attempt.exec.ref.epoch;
  Finish(key, attempt.done);
}

void Core::State::PublishAgain() {
  while (!publish_again.empty() && publish_again.begin()->first <= context_.now_us()) {
    const AttemptKey key = publish_again.extract(publish_again.begin()).value().second;
    HandOver(key);
  }
}

void Core::State::Queue(const AttemptKey& key, Attempt& attempt) {
  attempt.phase = Phase::kWaiting;
  waiting.emplace(attempt.order, key);
  waiting_for[VersionOf(attempt.exec.function)].emplace(attempt.order, key);
  if (attempt.expires_us != 0) expiring.insert({attempt.expires_us, attempt.order});
}

void Core::State::Unqueue(const AttemptKey& key, const Attempt& attempt) {
  if (attempt.phase != Phase::kWaiting && attempt.phase != Phase::kPromised) return;
  auto& lines = attempt.phase == Phase::kWaiting ? waiting_for : promised_for;
  if (const auto line = lines.find(VersionOf(attempt.exec.function)); line != lines.end()) {
    line->second.erase(attempt.order);
    if (line->second.empty()) lines.erase(line);
  }
  if (attempt.phase == Phase::kWaiting) {
    waiting.erase(attempt.order);
    if (attempt.expires_us != 0) expiring.erase({attempt.expires_us, attempt.order});
  } else {
    codes_.StopWaiting({attempt.exec.function.user, attempt.exec.function.code}, key);
  }
}

void Core::State::Finish(const AttemptKey& key, link::Done done) {
  const PartitionId partition = std::get<0>(key);
  attempts.erase(key);
  ring.Add(done, context_.now_us());
  Reply(partition, std::move(done));
}

void Core::State::FailAttempt(const AttemptKey& key, const std::string& reason) {
  const auto found = attempts.find(key);
  if (found == attempts.end() || found->second.phase == Phase::kPublishing) return;
  Unqueue(key, found->second);
  link::Done done = DoneOf(found->second);
  done.outcome = link::Outcome::kInfrastructure;
  done.status = Status::kError;
  done.error_type = "infrastructure";
  done.error_message = CutText(reason, kMaxErrorMessageBytes);
  Finish(key, std::move(done));
}

void Core::State::ExpireWaiting() {
  while (!expiring.empty() && expiring.begin()->first <= context_.now_us()) {
    const AttemptKey key = waiting.at(expiring.begin()->second);
    Attempt& attempt = attempts.at(key);
    Unqueue(key, attempt);
    link::Done done = DoneOf(attempt);
    done.outcome = link::Outcome::kExpired;
    done.status = Status::kExpired;
    Finish(key, std::move(done));
  }
}

// A dispatcher that acknowledged no heartbeat for the grace may have been replaced by one that places the work again:
// what runs for it ends, and nothing is published. Whoever owns the partition next is told of it.
void Core::State::DropOrphans() {
  for (auto& [dispatcher, lease] : leases) {
    const bool holds = LeaseHolds(dispatcher);
    if (holds) lease.over = false;
    if (holds || lease.over) continue;
    lease.over = true;
    DropOrphansOf(dispatcher);
  }
}

void Core::State::DropOrphansOf(const DispatcherId& dispatcher) {
  std::vector<AttemptKey> orphans;
  bool handed_over = false;  // to Kafka's client, which may not have sent it
  std::set<AttemptKey> in_client;
  for (const auto& [token, key] : publishing) in_client.insert(key);
  for (const auto& [key, attempt] : attempts) {
    if (fencing.Of(std::get<0>(key)).dispatcher != dispatcher) continue;
    if (in_client.contains(key)) {
      handed_over = true;
    } else {
      orphans.push_back(key);
    }
  }
  for (const auto& key : orphans) Orphan(key);
  if (handed_over) context_.Emit(PurgePublishes{});
}

void Core::State::Orphan(const AttemptKey& key) {
  const Attempt& attempt = attempts.at(key);
  Note(Trace::Kind::kOrphaned, attempt, Status::kCancelled, "no dispatcher renewed the lease");
  link::Done done = DoneOf(attempt);
  done.outcome = link::Outcome::kInfrastructure;
  done.status = Status::kError;
  done.error_type = "orphaned";
  const PartitionId partition = std::get<0>(key);
  LetGo(key, "orphaned");
  ring.Add(done, context_.now_us());
  Reply(partition, std::move(done));
}

void Core::State::LetGo(const AttemptKey& key, const char* reason) {
  const auto found = attempts.find(key);
  Attempt& attempt = found->second;
  Unqueue(key, attempt);
  if (attempt.phase == Phase::kPromised || attempt.phase == Phase::kRunning) {
    Machine& machine = machines_.Get(attempt.machine);
    machines_.Remove(machine, machine.Get(attempt.container), reason);
  }
  std::erase_if(publish_again, [&key](const auto& one) { return one.second == key; });
  std::erase_if(publishing, [&key](const auto& one) { return one.second == key; });
  attempts.erase(found);
  context_.AskToSchedule();
}

}  // namespace hearth::executor
