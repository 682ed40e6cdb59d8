// Simulated dispatchers and their connections.
#include <algorithm>

#include "tests/simulation/world_nodes.h"

namespace hearth::simulation {
namespace {

constexpr std::int64_t kDispatcherTickUs = 25'000;
constexpr std::int64_t kSessionUs = 6'000'000;  // the group's time-out

}  // namespace

void World::StartDispatcher(int index) {
  if (now_us_ < down_until_us_) return At(down_until_us_ - now_us_, [this, index] { StartDispatcher(index); });
  auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  dispatcher::Settings settings;
  settings.id = DispatcherId("dispatcher-" + std::to_string(index));
  settings.request_topics = {{"hearth.invoke.rt", dispatcher::RequestClass::kRealtime},
                             {"hearth.invoke.std", dispatcher::RequestClass::kStandard},
                             {"hearth.invoke.batch", dispatcher::RequestClass::kBatch}};
  settings.map_bytes = options_.map_bytes;
  settings.wide_offsets = options_.wide_offsets;
  settings.page_offsets = options_.page_offsets;
  settings.room = {options_.lane_records, 8 << 20, options_.held_bytes};
  settings.user_concurrency = options_.user_concurrency;
  if (options_.seed % 2 == 0) settings.kept_spec_bytes = 0;  // every spec that waits is read again
  settings.reply_topics_allowed = {"hearth.reply"};
  settings.realtime_users = {"*"};
  settings.retry_base_ms = 200;
  settings.seed = options_.seed;
  node.core = std::make_unique<dispatcher::Core>(settings);
  ++node.life;
  for (int user = 0; user < options_.users; ++user) {
    for (std::size_t i = 0; i < options_.functions.size(); ++i) {
      StepDispatcher(index, dispatcher::FunctionUpdated{MakeFunction(user, i)});
    }
  }
  std::vector<std::string> addresses;
  for (int executor = 0; executor < options_.executors; ++executor) {
    addresses.push_back("executor-" + std::to_string(executor));
  }
  StepDispatcher(index, dispatcher::ExecutorsExpected{addresses});
  for (int executor = 0; executor < options_.executors; ++executor) Connect(index, executor);
  TickDispatcher(index, node.life);
  Rebalance();
}

// One that drained leaves the group; of one that crashed the group learns when its session is over.
void World::StopDispatcher(int index, bool drained) {
  auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  Note("stop dispatcher " + std::to_string(index));
  if (node.core != nullptr) history_.missed_wakeups += node.core->ReadGauges(Now()).missed_wakeups;
  const auto life = node.life + 1;
  node = Dispatcher{};
  node.life = life;
  ForgetPlaced(index);
  std::vector<std::uint64_t> mine;
  for (const auto& [id, connection] : connections_) {
    if (connection.dispatcher == index) mine.push_back(id);
  }
  for (const auto id : mine) Disconnect(id);
  At(drained ? 10'000 : Between(1'000'000, kSessionUs), [this, index] {
    const bool owns = std::any_of(partitions_.begin(), partitions_.end(),
                                  [index](const Partition& partition) { return partition.owner == index; });
    if (owns && dispatchers_[static_cast<std::size_t>(index)]->core == nullptr) Rebalance();
  });
  At(Between(500'000, 8'000'000), [this, index] { StartDispatcher(index); });
}

void World::FreezeDispatcher(int index) {
  auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  Count(Fault::kFrozenDispatcher);
  Note("freeze dispatcher " + std::to_string(index));
  node.frozen = true;
  const auto for_us = Chance(500) ? Between(500'000, 5'000'000) : Between(5'000'000, 30'000'000);
  if (for_us > kSessionUs) {
    At(kSessionUs, [this, index, life = node.life] {
      const auto& frozen = *dispatchers_[static_cast<std::size_t>(index)];
      if (frozen.life == life && frozen.frozen) Depose(index);
    });
  }
  At(for_us, [this, index, life = node.life] {
    auto& frozen = *dispatchers_[static_cast<std::size_t>(index)];
    if (frozen.life != life) return;
    frozen.frozen = false;
    RunDispatcher(index);
    if (frozen.core == nullptr) return;
    const auto readers = frozen.readers;
    for (const auto& [number, reader] : readers) Pump(index, number);
    if (frozen.deposed) {
      At(Between(0, 1'000'000), [this, index] { Rejoin(index); });
    } else if (frozen.readers.empty()) {  // it was left out
      Rebalance();
    }
  });
}

void World::TickDispatcher(int index, std::uint64_t life) {
  At(kDispatcherTickUs, [this, index, life] {
    auto& node = *dispatchers_[static_cast<std::size_t>(index)];
    if (node.core == nullptr || node.life != life) return;
    StepDispatcher(index, dispatcher::Tick{});
    TickDispatcher(index, life);
  });
}

void World::StepDispatcher(int index, const dispatcher::Event& event) {
  auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  if (node.core == nullptr) return;
  node.stepper.Push(event);
  if (!node.frozen) RunDispatcher(index);
}

void World::RunDispatcher(int index) {
  auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  if (node.core == nullptr) return;
  node.stepper.Run([this, &node](const auto& event, auto& effects) { node.core->Step(event, Now(), effects); },
                   [this, index](auto& effect) { Do(index, effect); });
}

void World::Do(int index, dispatcher::SendToExecutor& send) {
  const auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  if (const auto* exec = std::get_if<link::Exec>(&send.message); exec != nullptr && node.deposed) NoteDeposed(*exec);
  if (const auto* exec = std::get_if<link::Exec>(&send.message))
    ordered_[{send.executor.value, exec->id.value}] = now_us_;
  if (const auto* exec = std::get_if<link::Exec>(&send.message); exec != nullptr && exec->item) {
    NoteItemPlaced(index, send.executor, *exec);
  }
  ToExecutor(index, send.executor, send.message);
}

void World::Do(int index, dispatcher::Produce& produce) {
  const auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  const bool lost = Happens(Fault::kProduceLost);
  const bool late = !lost && Happens(Fault::kProduceLate);
  const auto applied_us = Between(500, 20'000) + (Happens(Fault::kProduceSlow) ? Between(100'000, 2'000'000) : 0);
  const auto offset = std::make_shared<std::int64_t>(-1);
  At(applied_us, [this, lost, offset, deposed = node.deposed, record = std::move(produce.record)] {
    if (!lost) *offset = Append(*record, deposed);
  });
  At(applied_us + (late ? Between(0, 300'000) : 0),
     [this, index, offset, life = node.life, token = produce.token, ok = !lost && !late] {
       if (dispatchers_[static_cast<std::size_t>(index)]->life != life) return;
       StepDispatcher(index, dispatcher::ProduceFinished{token, ok, ok ? "" : "simulated", false, ok ? *offset : -1});
     });
}

void World::Do(int index, dispatcher::Commit& commit) {
  SendCommit(index, commit);
}

void World::Do(int index, dispatcher::PauseIntake& pause) {
  dispatchers_[static_cast<std::size_t>(index)]->paused.insert(IndexOf(pause.partition));
}

void World::Do(int index, dispatcher::ResumeIntake& resume) {
  dispatchers_[static_cast<std::size_t>(index)]->paused.erase(IndexOf(resume.partition));
  Pump(index, IndexOf(resume.partition));
}

// A few records from there on, or none.
void World::Do(int index, dispatcher::ReadBack& read) {
  Count(Fault::kParked);
  const auto slow_us = Happens(Fault::kReadBackFails) ? Between(100'000, 5'000'000) : 0;
  At(Between(500, 20'000) + slow_us, [this, index, life = dispatchers_[static_cast<std::size_t>(index)]->life, slow_us,
                                      partition = read.partition, offset = read.offset, most = read.most] {
    if (dispatchers_[static_cast<std::size_t>(index)]->life != life) return;
    dispatcher::ReadBackFinished chunk{partition, offset, offset, {}, slow_us > 0 ? "simulated" : ""};
    const Partition& log = LogOf(partition);
    chunk.is_missing = slow_us == 0 && offset > log.end;
    auto at = std::lower_bound(log.log.begin(), log.log.end(), offset,
                               [](const auto& record, std::int64_t from) { return record->offset < from; });
    constexpr std::int64_t kMostRecords = 8;
    for (auto left = std::min(Between(1, kMostRecords), most); left > 0 && at != log.log.end() && slow_us == 0;
         --left) {
      chunk.records.push_back(*at++);
      chunk.next = chunk.records.back()->offset + 1;
    }
    if (at == log.log.end() && slow_us == 0 && !chunk.is_missing) chunk.next = std::max(chunk.next, log.end);
    StepDispatcher(index, chunk);
  });
}

// Of one writer in the order in which they were sent.
void World::Do(int index, dispatcher::WritePage& write) {
  auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  const bool lost = Happens(Fault::kPageLost);
  const bool late = !lost && Happens(Fault::kPageLate);
  const auto slow_us = Happens(Fault::kPageSlow) ? Between(100'000, 2'000'000) : 0;
  node.page_at_us = std::max(node.page_at_us + 1, now_us_ + Between(500, 10'000) + slow_us);
  const int partition = IndexOf(write.key.partition);
  JudgeEpoch(index, write);
  constexpr std::int32_t kOfNoLog = -1;  // the topic was made anew, and the writer has not heard of it
  const auto log =
      node.readers.contains(partition) ? partitions_[static_cast<std::size_t>(partition)].number : kOfNoLog;
  At(node.page_at_us - now_us_, [this, index, write, lost, log] {
    if (lost) return;
    CountStale(index, write);
    WritePage(write, log);
  });
  if (write.value.empty()) return;
  At(node.page_at_us - now_us_ + Between(0, 5'000), [this, index, life = node.life, key = write.key, lost, late] {
    if (dispatchers_[static_cast<std::size_t>(index)]->life != life) return;
    StepDispatcher(index, dispatcher::PageWritten{key, !lost && !late});
  });
}

void World::WritePage(const dispatcher::WritePage& write, std::int32_t log) {
  if (write.value.empty()) {
    Count(Fault::kIdlePage);
    pages_.erase(write.key);
    return;
  }
  pages_[write.key] = write.value;
  if (!write.key.batch.batch.empty()) return NoteStatusPage(write);
  PageClaim claim{log, {}, history_.outcomes.size()};
  const auto complete = dispatcher::DecodeLedgerPage(write.value);
  for (const auto& range : *complete) {
    for (std::int64_t i = 0; i < range.length; ++i) {
      claim.complete.push_back(write.key.page * options_.page_offsets + range.start + i);
    }
  }
  history_.pages.push_back(std::move(claim));
}

void World::Do(int index, dispatcher::ReadPages& read) {
  const bool away = Happens(Fault::kPagesAway);
  At(Between(1'000, 50'000), [this, index, life = dispatchers_[static_cast<std::size_t>(index)]->life, read, away] {
    if (dispatchers_[static_cast<std::size_t>(index)]->life != life) return;
    dispatcher::PagesRead answer{read.partition, read.epoch, {}, !away};
    for (const auto& [key, value] : pages_) {
      if (away || key.partition != read.partition) continue;
      answer.pages.push_back({key, value});
      if (!key.batch.batch.empty()) Count(Fault::kBatchPages);
    }
    if (!answer.pages.empty()) Count(Fault::kPages);
    StepDispatcher(index, answer);
  });
}

void World::Do(int index, dispatcher::ReadStates& read) {
  const bool away = Happens(Fault::kPagesAway);
  At(Between(1'000, 50'000), [this, index, life = dispatchers_[static_cast<std::size_t>(index)]->life, read, away] {
    if (dispatchers_[static_cast<std::size_t>(index)]->life != life) return;
    dispatcher::StatesRead answer{read.partition, read.epoch, {}, !away};
    for (const auto& batch : batches_) {
      const auto state = states_.find(batch->ref);
      if (!away && batch->home == read.partition && state != states_.end())
        answer.states.push_back({state->first, state->second});
    }
    std::ranges::sort(answer.states, {}, &dispatcher::StatesRead::State::batch);
    StepDispatcher(index, answer);
  });
}

void World::Do(int index, dispatcher::LoadUser& load) {
  const auto life = dispatchers_[static_cast<std::size_t>(index)]->life;
  At(Between(100, 1000), [this, index, life, user = load.user] {
    if (dispatchers_[static_cast<std::size_t>(index)]->life != life) return;
    StepDispatcher(index, dispatcher::UserLoaded{user, {}});
    StepDispatcher(index, dispatcher::UserShared{user, options_.dispatchers > 1});
  });
}

void World::Do(int index, dispatcher::ClaimSlot& asked) {
  if (Chance(50)) return;  // Redis says nothing: the core goes on by itself
  const auto life = dispatchers_[static_cast<std::size_t>(index)]->life;
  At(Between(100, 5000), [this, index, life, claim = asked] {
    if (dispatchers_[static_cast<std::size_t>(index)]->life != life) return;
    auto& [since_ms, holder] = claims_[claim.container.value];
    const bool granted = claim.since_ms > since_ms || holder == index;
    if (granted) std::tie(since_ms, holder) = std::pair(claim.since_ms, index);
    StepDispatcher(index,
                   dispatcher::SlotClaimed{claim.user, claim.executor, claim.container, claim.since_ms, granted});
  });
}

void World::Do(int index, dispatcher::Trace& trace) {
  if (trace.constraint.starts_with(dispatcher::kParkedLost)) Count(Fault::kParkedLost);
  if (trace.kind == dispatcher::Trace::Kind::kLostPlacement) NoteItemLost(index, trace);
  if (!trace_) return;
  Note("dispatcher-" + std::to_string(index) + " " + trace.partition.topic + "/" +
       std::to_string(trace.partition.partition) + "@" + std::to_string(trace.offset) + " epoch " +
       std::to_string(trace.epoch) + " " + trace.id.value + " step " + std::to_string(static_cast<int>(trace.kind)) +
       " on " + trace.executor.value + " attempt " + std::to_string(trace.attempt) + " " + trace.constraint);
}

void World::Do(int index, dispatcher::DrainFinished&) {
  At(0, [this, index, life = dispatchers_[static_cast<std::size_t>(index)]->life] {
    if (dispatchers_[static_cast<std::size_t>(index)]->life == life) StopDispatcher(index, true);
  });
}

}  // namespace hearth::simulation
