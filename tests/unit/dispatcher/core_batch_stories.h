// Stories about batches: the topics of batches lie in memory, what is produced there is durable at the next `Settle`,
// and what executors are given ends as the story says.
#pragma once

#include <functional>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "schemas/batch_item.h"
#include "schemas/batch_spec.h"
#include "schemas/batch_state.h"
#include "schemas/batch_want.h"
#include "tests/unit/dispatcher/core_stories.h"

namespace hearth::dispatcher {

inline std::vector<std::int64_t> InOrder(std::int64_t count) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(count));
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}

class BatchStory : public CoreStory {
 protected:
  BatchStory() { Connect("e1", 64); }

  static PartitionId Home() { return {"hearth.batches", 0}; }
  static BatchRef Ref(const std::string& id = "b") { return {UserId("ada"), BatchId(id)}; }

  // ---- the topics
  // The partition comes to us, is claimed, and is read from its start.
  void OwnHome() {
    Log& log = logs_[Home()];
    const auto [offset, metadata] = committed_;
    Step(PartitionAssigned{Home(), offset, metadata, log.end});
    RecordsReceived all;
    for (const auto& [at, record] : log.records) all.records.push_back(record);
    if (!all.records.empty()) Step(all);
    Step(CaughtUp{Home(), log.end});
    Settle();
  }
  void LoseHome() {
    Step(PartitionRevoked{Home(), true});
    Forget();
    reading_.reset();
    writing_.clear();
  }
  // Another dispatcher, of which nothing is known yet, gets what was lost.
  void TakeOver() {
    Start();
    Connect("e1", 64);
    OwnHome();
  }
  void Write(const std::string& key, const std::string& value) {
    Log& log = logs_[Home()];
    auto record = std::make_shared<Record>();
    record->partition = Home();
    record->offset = log.end++;
    record->timestamp_ms = WallMs();
    record->key = key;
    record->value = value;
    record->null_value = value.empty();
    std::erase_if(log.records, [&](const auto& one) { return one.second->key == key; });  // compaction
    log.records[record->offset] = record;
    Step(RecordsReceived{{record}});
  }
  void Submit(const BatchSpec& spec, const std::string& id = "b") {
    Write(FormatBatchKey({Ref(id), BatchKey::Kind::kSpec}), EncodeBatchSpec(spec));
    Settle();
  }
  void Wish(const Want& want, const std::string& id = "b") {
    Write(FormatBatchKey({Ref(id), BatchKey::Kind::kWant, FieldOf(want)}), EncodeWant(want));
    Settle();
  }
  static BatchSpec Counted(std::int64_t total) {
    BatchSpec spec;
    spec.function = FunctionName("sum");
    spec.total = total;
    spec.items = CountedItems();
    return spec;
  }
  // Items in a partition of hearth.batch.items, each at the place that the story gives.
  BatchSpec Stored(const std::vector<std::int64_t>& indices, std::int64_t total, const std::string& id = "b") {
    Log& log = logs_[{"hearth.batch.items", 0}];
    const std::int64_t first = log.end;
    for (const std::int64_t index : indices) {
      BatchItem item;
      item.payload = std::to_string(index);
      WriteItem(EncodeItem({Ref(id), index}, item, "hearth.batch.items"));
    }
    BatchSpec spec = Counted(total);
    spec.items = StoredItems{"", {{0, first, log.end - 1}}};
    spec.digest = std::string(64, 'd');
    return spec;
  }
  void WriteItem(const OutRecord& out) {
    Log& log = logs_[{"hearth.batch.items", 0}];
    auto record = std::make_shared<Record>();
    record->partition = {"hearth.batch.items", 0};
    record->offset = log.end++;
    record->key = out.key;
    record->value = out.value;
    record->headers = out.headers;
    log.records[record->offset] = record;
  }

  // Another world, of which nothing is known yet.
  void Reset() {
    logs_.clear();
    pages_.clear();
    committed_ = {};
    states_.clear();
    state_texts_.clear();
    results_.clear();
    results_by_batch_.clear();
    others_.clear();
    placed_.clear();
    owed_.clear();
    starts_.clear();
    dropped_.clear();
    most_placed_.clear();
    pages_work_ = reports_work_ = true;
    pages_wait_ = false;
    unanswered_.clear();
    most_read_ = INT64_MAX;
    Start();
    Connect("e1", 64);
  }

  // Carries out what the core wants until it wants nothing more. Attempts of items stay where they are.
  void Settle() {
    bool busy = true;
    while (busy) {
      const bool reads_pages = asks_for_pages_.has_value() && !pages_wait_;
      busy = reading_.has_value() || !writing_.empty() || reads_pages;
      if (reading_) ReadItems();
      if (pages_work_) PagesAreWritten();
      if (reads_pages) PagesAreRead();
      for (const Effect& effect : std::exchange(effects_, {})) busy = CarryOut(effect) || busy;
      busy = busy && (pages_work_ || writing_.empty() || reading_ || reads_pages);
    }
  }
  bool CarryOut(const Effect& effect) {
    if (const auto* commit = std::get_if<Commit>(&effect); commit != nullptr && commit->partition == Home()) {
      committed_ = {commit->offset, commit->metadata};
      Step(CommitFinished{Home(), commit->epoch, true, ""});
      return true;
    }
    if (const auto* states = std::get_if<ReadStates>(&effect)) {
      StatesRead read{states->partition, states->epoch, {}, true};
      for (const auto& [ref, state] : states_) read.states.push_back({ref, state});
      Step(read);
      return true;
    }
    if (const auto* produce = std::get_if<Produce>(&effect)) {
      TakeRecord(*produce->record, produce->token);
      return true;
    }
    if (const auto* send = std::get_if<SendToExecutor>(&effect)) {
      if (const auto* fence = std::get_if<link::Fence>(&send->message)) {
        if (reports_work_) {
          Report(send->executor, *fence);
        } else {
          unanswered_.emplace_back(send->executor, *fence);
        }
      } else if (const auto* exec = std::get_if<link::Exec>(&send->message)) {
        ++starts_[exec->id.value];
        Say("exec " + exec->id.value + " epoch " + std::to_string(exec->ref.epoch) + " attempt " +
            std::to_string(exec->ref.attempt) + " place " + std::to_string(exec->ref.offset));
        placed_.push_back({exec->ref, *exec});
        NotePlaced(exec->ref.partition);
      } else if (const auto* ack = std::get_if<link::DoneAck>(&send->message)) {
        Say("ack place " + std::to_string(ack->ref.offset));
        std::erase_if(owed_, [&](const link::Done& done) {
          return done.ref.partition == ack->ref.partition && done.ref.offset == ack->ref.offset;
        });
      } else if (const auto* cancel = std::get_if<link::Cancel>(&send->message)) {
        cancelled_.insert(cancel->ref.offset);
      } else if (const auto* drop = std::get_if<link::Drop>(&send->message)) {
        Say("drop place " + std::to_string(drop->ref.offset));
        std::erase_if(placed_, [&](const auto& one) {
          const bool is_it = one.first.partition == drop->ref.partition && one.first.offset == drop->ref.offset;
          if (is_it) ++dropped_[one.second.id.value];
          return is_it;
        });
      } else {
        return false;
      }
      return true;
    }
    return false;
  }
  void Report(const ExecutorId& executor, const link::Fence& fence) {
    Say("fence " + fence.partition.topic + " epoch " + std::to_string(fence.epoch) + " generation " +
        std::to_string(fence.generation));
    link::FenceReport report{fence.partition, fence.epoch, {}, {}};
    const auto is_other = [&](const link::AttemptRef& ref) {
      return ref.partition == fence.partition && ref.generation != fence.generation;
    };
    std::erase_if(placed_, [&](const auto& one) { return is_other(one.first); });
    std::erase_if(owed_, [&](const link::Done& done) { return is_other(done.ref); });
    if (executor != ExecutorId("e1")) return Step(ExecutorMessage{executor, report});  // all ran at that one
    for (auto& [ref, exec] : placed_) {
      if (ref.partition != fence.partition) continue;
      ref.epoch = fence.epoch;
      report.running.push_back({ref, exec.id, exec.times.enqueued_us});
    }
    for (link::Done& done : owed_) {
      if (done.ref.partition != fence.partition) continue;
      done.ref.epoch = fence.epoch;
      report.finished.push_back(done);
    }
    Step(ExecutorMessage{executor, report});
  }
  void AnswerFences() {
    reports_work_ = true;
    for (const auto& [executor, fence] : std::exchange(unanswered_, {})) Report(executor, fence);
    Settle();
  }
  void TakeRecord(const OutRecord& record, std::uint64_t token) {
    const std::int64_t offset = produced_++;
    if (record.topic == "hearth.batch.state") {
      const auto ref = ParseBatchRef(record.key);
      ASSERT_TRUE(ref);
      if (record.null_value) {
        states_.erase(*ref);
      } else {
        const auto state = DecodeBatchState(record.value);
        ASSERT_TRUE(state) << state.error().message << " " << record.value;
        states_[*ref] = *state;
        state_texts_[*ref].push_back(record.value);
      }
    } else if (record.topic == "hearth.batch.results") {
      const auto mark = DecodeResultMark(AsRecord(record));
      ASSERT_TRUE(mark) << mark.error().message;
      results_[{mark->generation, mark->place.index}].push_back(HeaderOf(record, "hearth-status"));
      results_by_batch_[{mark->place.batch.batch.value, mark->generation, mark->place.index}].push_back(
          HeaderOf(record, "hearth-status"));
    } else if (record.topic != "hearth.batches") {
      others_.push_back(record);
    }
    Step(ProduceFinished{token, true, "", false, offset});
    if (record.topic == "hearth.batches" && !record.null_value) Write(record.key, record.value);
  }
  static Record AsRecord(const OutRecord& out) {
    Record record;
    record.key = out.key;
    record.value = out.value;
    record.headers = out.headers;
    return record;
  }
  void ReadItems() {
    const ReadBack asked = *reading_;
    const auto log = logs_.find(asked.partition);
    if (log == logs_.end() || asked.offset > log->second.end) {
      reading_.reset();
      return Step(ReadBackFinished{asked.partition, asked.offset, asked.offset, {}, "not there", true});
    }
    ReadBackEnds(most_read_);
  }

  // For whoever looks for a fault; HEARTH_BATCH_TRACE.
  void Say(const std::string& what) const {
    if (std::getenv("HEARTH_BATCH_TRACE") != nullptr) std::printf("%s\n", what.c_str());
  }
  void NotePlaced(const PartitionId& batch) {
    std::int64_t& most = most_placed_[batch.topic];
    most =
        std::max(most, std::ranges::count_if(placed_, [&](const auto& one) { return one.first.partition == batch; }));
  }

  // ---- attempts
  // The oldest attempt, or the one at `which`, ends so. The executor owes it until it is acknowledged.
  void End(link::Outcome outcome = link::Outcome::kPublished, Status status = Status::kOk, std::int64_t which = 0) {
    ASSERT_LT(which, std::ssize(placed_)) << "nothing runs";
    const auto [ref, exec] = placed_[static_cast<std::size_t>(which)];
    placed_.erase(placed_.begin() + which);
    link::Done done;
    done.ref = ref;
    Say("end " + exec.id.value + " attempt " + std::to_string(ref.attempt) + " outcome " +
        std::to_string(static_cast<int>(outcome)));
    done.id = exec.id;
    done.outcome = outcome;
    done.status = status;
    done.times = exec.times;
    done.times.leased_us = 1;
    done.try_number = exec.try_number;
    if (outcome == link::Outcome::kPublished) {
      done.reply_offset = produced_++;
      results_[{exec.item->generation, exec.item->index}].push_back(std::string(StatusName(status)));
      const auto batch = ParseBatchRef(ref.partition.topic);
      ASSERT_TRUE(batch);
      results_by_batch_[{batch->batch.value, exec.item->generation, exec.item->index}].push_back(
          std::string(StatusName(status)));
    }
    owed_.push_back(done);
    Step(ExecutorMessage{ExecutorId("e1"), done});
    Settle();
  }
  // All that is placed, and what is placed after it, ends as `status_of` says of its index.
  void RunAll(const std::function<Status(std::int64_t)>& status_of = [](auto) { return Status::kOk; }) {
    for (int idle = 0, ended = 0; idle < 50 && Phase() != BatchPhase::kEnded;) {
      if (placed_.empty()) {
        ++idle;
        PassAlive(100);
        Settle();
        continue;
      }
      idle = 0;
      if (++ended % 8 == 0) Stall(10);
      const Status status = status_of(placed_.front().second.item->index);
      const bool fails = status != Status::kOk && !placed_.front().second.final_try;
      End(fails ? link::Outcome::kFailed : link::Outcome::kPublished, status);
    }
  }
  void WaitFor(std::int64_t ms) {
    PassAlive(ms);
    Settle();
  }
  // The states become what is known: their interval passes.
  const BatchState& State(const std::string& id = "b") {
    WaitFor(300);
    return states_[Ref(id)];
  }
  BatchPhase Phase(const std::string& id = "b") { return states_[Ref(id)].phase; }
  std::int64_t Count(ItemStatus status, const std::string& id = "b") { return State(id).counts[status]; }

  std::pair<std::int64_t, std::string> committed_;  // of the home
  std::map<BatchRef, BatchState> states_;
  std::map<BatchRef, std::vector<std::string>> state_texts_;
  std::map<std::pair<std::int32_t, std::int64_t>, std::vector<std::string>> results_;  // by generation and index
  std::map<std::tuple<std::string, std::int32_t, std::int64_t>, std::vector<std::string>> results_by_batch_;
  std::vector<OutRecord> others_;
  std::vector<std::pair<link::AttemptRef, link::Exec>> placed_;
  std::vector<link::Done> owed_;
  std::set<std::int64_t> cancelled_;
  std::map<std::string, int> starts_;                // by id
  std::map<std::string, int> dropped_;               // attempts that ran for nobody, by id
  std::map<std::string, std::int64_t> most_placed_;  // at once, by batch
  std::int64_t produced_ = 0;
  std::int64_t most_read_ = INT64_MAX;
  bool pages_work_ = true;
  bool pages_wait_ = false;  // to be read
  bool reports_work_ = true;
  std::vector<std::pair<ExecutorId, link::Fence>> unanswered_;  // while reports do not work
};

}  // namespace hearth::dispatcher
