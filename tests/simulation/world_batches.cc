// Batches: the clients that submit them and wish something of them, the topics where they lie, and what is seen of
// their items.
#include <algorithm>

#include "dispatcher/core/item_statuses.h"
#include "schemas/batch_digest.h"
#include "schemas/batch_item.h"
#include "tests/simulation/world_nodes.h"

namespace hearth::simulation {
namespace {

constexpr std::int64_t kTendUs = 1'000'000;
constexpr std::int64_t kLastSubmitUs = 10'000'000;
constexpr std::int64_t kWishesWithinUs = 12'000'000;
constexpr std::int64_t kUsualItems = 40;
constexpr std::int64_t kMostItems = 200;
constexpr int kCompactedInThousand = 700;  // records of hearth.batches that are gone once there is a newer one

}  // namespace

void World::MakeBatches() {
  if (options_.batches == 0) return;
  for (int i = 0; i < options_.partitions; ++i) {
    auto& home = partitions_.emplace_back();
    home.id = {kBatches, i};
    home.number = next_log_++;
    auto& items = item_logs_.emplace_back();
    items.id = {kBatchItems, i};
  }
  results_.resize(static_cast<std::size_t>(options_.partitions));
}

void World::StartBatches() {
  for (int i = 0; i < options_.batches; ++i) {
    batches_.push_back(std::make_unique<Batch>());
    const auto number = static_cast<std::size_t>(i);
    Batch& batch = *batches_.back();
    batch.user = static_cast<int>(Between(0, options_.users - 1));
    const auto user = Padded("user" + std::to_string(batch.user));
    const auto in_topic = std::hash<std::string>{}(user) % static_cast<std::size_t>(options_.partitions);
    std::string id = "b" + std::to_string(i);
    if (options_.id_bytes > 0) id += "-" + std::string(kMaxBatchIdBytes - id.size() - 1, 'x');
    batch.ref = {UserId(user), BatchId(id)};
    batch.home = {kBatches, static_cast<std::int32_t>(in_topic)};
    batch.redrives = static_cast<std::int32_t>(Between(0, 2));
    const auto at_us = Between(0, kLastSubmitUs);
    At(at_us, [this, number] { Submit(number); });
    for (auto left = Between(0, 4); left > 0; --left) {
      At(std::max<std::int64_t>(0, at_us + Between(-1'000'000, kWishesWithinUs)), [this, number] { Wish(number); });
    }
  }
  if (options_.batches > 0) At(kTendUs, [this] { Tend(); });
}

// The client writes the items, then the spec.
void World::Submit(std::size_t number) {
  Batch& batch = *batches_[number];
  const auto function = static_cast<std::size_t>(Between(0, std::ssize(options_.functions) - 1));
  batch.function = "f" + std::to_string(function);
  batch.max_attempts = options_.functions[function].max_attempts;
  BatchSpec& spec = batch.spec;
  spec.function = FunctionName(batch.function);
  spec.version = Chance(500) ? kVersionOfOwner : kVersionNewest;
  spec.total = Between(1, Chance(800) ? kUsualItems : kMostItems);
  BatchMade& made = history_.batches.made[FormatBatchRef(batch.ref)];
  if (Chance(500)) spec.concurrency = static_cast<std::int32_t>(Between(1, 20));
  if (Chance(200)) spec.priority = static_cast<std::int32_t>(Between(1, kMaxBatchPriority));
  if (Chance(200)) spec.tolerance = Chance(500) ? Tolerance{Between(0, 50), true} : Tolerance{Between(0, spec.total)};
  if (Chance(150)) spec.deadline_ms = Now().wall_us / 1000 + Between(100, 20'000);
  if (Chance(400)) spec.on_complete.function = FunctionName("f0");
  made.may_be_stopped = made.may_be_stopped || spec.tolerance.has_value();
  made.may_expire = made.may_expire || spec.deadline_ms != 0;
  made.completes = !spec.on_complete.empty();
  MakeItems(batch);
  NameItems(batch, 0);
  const std::string key = FormatBatchKey({batch.ref, BatchKey::Kind::kSpec});
  Write(batch.home, key, EncodeBatchSpec(spec));
  batch.submitted = true;
  if (!std::holds_alternative<CountedItems>(spec.items) || !Chance(500)) return;
  // Another client, which has other items under the same name.
  BatchSpec second = spec;
  second.digest.clear();
  second.items = InlineItems{std::vector<std::string>(static_cast<std::size_t>(spec.total), R"({"second":true})")};
  second.digest = DigestOf(second);
  At(Between(0, 5'000'000), [this, home = batch.home, key, second] {
    Count(Fault::kSecondSpec);
    Write(home, key, EncodeBatchSpec(second));
  });
}

void World::MakeItems(Batch& batch) {
  BatchSpec& spec = batch.spec;
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < spec.total; ++i) {
    indices.push_back(i);
    batch.places[i] = {i, ""};
  }
  const auto kind = Between(0, 4);
  spec.items = CountedItems{};
  if (kind == 1) {
    std::vector<std::string> payloads;
    for (const std::int64_t i : indices) payloads.push_back(R"({"item":)" + std::to_string(i) + "}");
    spec.items = InlineItems{payloads};
  }
  if (kind <= 1) {
    spec.digest = DigestOf(spec);
    return;
  }
  if (kind == 3) std::shuffle(indices.begin(), indices.end(), random_);
  const double foreign = kind == 4 ? 100 : 0;
  const auto chunk = std::max<std::int64_t>(1, spec.total / Between(1, 3));
  StoredItems stored;
  std::int64_t places = 0;
  for (std::int64_t from = 0; from < spec.total; from += chunk) {
    const auto in = static_cast<std::int32_t>(Between(0, options_.partitions - 1));
    Partition& log = item_logs_[static_cast<std::size_t>(in)];
    const std::int64_t first = log.end;
    const auto append = [&](const ItemPlace& place, const BatchItem& item) {
      const OutRecord out = EncodeItem(place, item, kBatchItems);
      auto record = std::make_shared<Record>();
      *record = {log.id, log.end++, Now().wall_us / 1000, out.key, out.value, out.headers};
      log.log.push_back(record);
    };
    for (auto i = from; i < std::min(spec.total, from + chunk); ++i) {
      if (Chance(foreign)) append({{batch.ref.user, BatchId("other")}, 0}, {"x", "", "", "", 0});
      const std::int64_t index = indices[static_cast<std::size_t>(i)];
      std::string key;
      if (options_.order_keys > 0 && Happens(Fault::kOrderKey)) {
        key = "key" + std::to_string(Between(0, options_.order_keys - 1));
      }
      batch.places[index] = {places + log.end - first, key};
      append({batch.ref, index}, {"in-" + std::to_string(index), "", "", key, 0});
    }
    if (Chance(foreign)) ++log.end;  // a transaction's marker
    stored.ranges.push_back({in, first, log.end - 1});
    places += log.end - first;
  }
  spec.items = stored;
  spec.digest = std::string(64, 'd');
}

// What may run of a generation.
void World::NameItems(Batch& batch, std::int32_t generation) {
  if (!batch.named.insert(generation).second) return;
  const std::string name = FormatBatchRef(batch.ref);
  const auto add = [&](std::int64_t index, std::int64_t place, const std::string& key, int max_attempts) {
    const std::string id = ItemInvocationId(batch.ref.batch, index, generation).value;
    const std::string of_batch = key.empty() ? "" : name + "/" + std::to_string(generation) + "/" + key;
    const ItemOf item{name, generation, index};
    history_.sent.push_back({id, batch.ref.user.value,
                             partitions_[static_cast<std::size_t>(IndexOf(batch.home))].number, place, of_batch,
                             max_attempts, now_us_, item});
    batch.items[id] = item;
    sent_to_[id] = {name, batch.home.partition};
  };
  for (const auto& [index, at] : batch.places) add(index, at.first, at.second, batch.max_attempts);
  if (!batch.spec.on_complete.empty()) {
    add(kOnCompleteIndex, std::ssize(batch.places), "", options_.functions[0].max_attempts);
  }
}

void World::Wish(std::size_t number) {
  Batch& batch = *batches_[number];
  BatchMade& made = history_.batches.made[FormatBatchRef(batch.ref)];
  switch (Between(0, 9)) {
    case 0:
    case 1:
    case 2: return Write(batch, WantRun{RunWish::kPause});
    case 3:
    case 4: return Write(batch, WantRun{RunWish::kRun});
    case 5:
      if (Chance(500)) return;
      made.may_be_stopped = true;
      return Write(batch, WantRun{Chance(500) ? RunWish::kCancel : RunWish::kCancelNow});
    case 6: batch.steered = true; return Write(batch, WantConcurrency{static_cast<std::int32_t>(Between(0, 20))});
    case 7: return Write(batch, WantPriority{static_cast<std::int32_t>(Between(1, kMaxBatchPriority))});
    case 8: made.may_expire = true; return Write(batch, WantDeadline{Now().wall_us / 1000 + Between(1'000, 30'000)});
    default: made.may_be_stopped = true; return Write(batch, WantTolerance{Tolerance{Between(0, 20)}});
  }
}

void World::Write(const Batch& batch, const Want& want) {
  Write(batch.home, FormatBatchKey({batch.ref, BatchKey::Kind::kWant, FieldOf(want)}), EncodeWant(want));
}

// At times nobody has compacted it yet.
void World::Write(const PartitionId& home, const std::string& key, const std::string& value) {
  const int index = IndexOf(home);
  Partition& log = partitions_[static_cast<std::size_t>(index)];
  for (std::size_t at = log.log.size(); at-- > 0;) {
    if (log.log[at]->key != key || !Chance(kCompactedInThousand)) continue;
    log.log.erase(log.log.begin() + static_cast<std::ptrdiff_t>(at));
    for (const auto& node : dispatchers_) {
      const auto reader = node->readers.find(index);
      if (reader != node->readers.end() && reader->second.position > at) --reader->second.position;
    }
  }
  auto record = std::make_shared<Record>();
  *record = {home, log.end++, Now().wall_us / 1000, key, value, {}};
  record->null_value = value.empty();
  log.log.push_back(std::move(record));
  if (Happens(Fault::kControlRecords)) log.end += Between(1, 3);
  PumpAll(index);
}

// In the end everything goes on, and what has ended runs again as often as was drawn.
void World::Tend() {
  for (const auto& batch : batches_) {
    const auto state = states_.find(batch->ref);
    if (state == states_.end() || batch->accepted.empty()) continue;
    if (state->second.phase == BatchPhase::kPaused && !Faulty()) Write(*batch, WantRun{RunWish::kRun});
    if (state->second.phase != BatchPhase::kEnded || state->second.generation >= batch->redrives) continue;
    WantRedrive redrive{state->second.generation + 1};
    if (Chance(300)) redrive.selection.Add(ItemStatus::kOk);
    if (Chance(500)) redrive.selection.Add(ItemStatus::kCancelled);
    if (Chance(500)) redrive.selection.Add(ItemStatus::kExpired);
    if (Chance(300)) redrive.selection.Add(ItemStatus::kGone);
    NameItems(*batch, redrive.generation);
    Write(*batch, redrive);
  }
  At(kTendUs, [this] { Tend(); });
}

bool World::BatchesAreOver() const {
  return std::ranges::all_of(batches_, [this](const auto& batch) {
    const auto state = states_.find(batch->ref);
    if (!batch->submitted || state == states_.end() || state->second.phase != BatchPhase::kEnded) return false;
    if (batch->accepted.empty()) return state->second.times.submitted_ms != 0;  // refused
    if (batch->accepted.front().second.digest != state->second.digest) return false;
    return state->second.generation >= batch->redrives &&
           (batch->spec.on_complete.empty() || state->second.on_complete.has_value());
  });
}

const World::Batch* World::Find(const BatchRef& ref) const {
  const auto found = std::ranges::find_if(batches_, [&](const auto& batch) { return batch->ref == ref; });
  return found == batches_.end() ? nullptr : found->get();
}

const World::Partition& World::LogOf(const PartitionId& id) const {
  if (id.topic == kBatchItems) return item_logs_[static_cast<std::size_t>(id.partition)];
  return partitions_[static_cast<std::size_t>(IndexOf(id))];
}

void World::RetainItems(std::int32_t partition) {
  Partition& log = item_logs_[static_cast<std::size_t>(partition)];
  const auto most = std::min<std::int64_t>(Between(1, 20), std::ssize(log.log));
  if (most > 0) Note("retention of items");
  for (auto it = log.log.begin(); it != log.log.begin() + most; ++it) {
    const auto item = DecodeItem(**it);
    if (item) history_.batches.made[FormatBatchRef(item->place.batch)].removed.insert(item->place.index);
  }
  log.log.erase(log.log.begin(), log.log.begin() + most);
}

// ---- what owners write

std::int64_t World::AppendToBatches(const OutRecord& record) {
  Note(record.topic + record.key);
  if (record.topic == kBatchState) {
    NoteState(*ParseBatchRef(record.key), record.value);
    return 0;
  }
  const auto key = ParseBatchKey(record.key);
  for (const auto& batch : batches_) {
    if (batch->ref != key->ref || key->kind != BatchKey::Kind::kAccepted) continue;
    const auto home = static_cast<std::size_t>(IndexOf(batch->home));
    batch->accepted.emplace_back(partitions_[home].end, *DecodeBatchSpec(record.value));
    auto& fault = history_.batches.not_accepted;
    if (fault.empty() && batch->accepted.front().second != batch->accepted.back().second) {
      fault = "owners of " + record.key + " took two specs";
    }
  }
  Write({kBatches, record.partition}, record.key, record.value);
  return 0;
}

void World::NoteState(const BatchRef& ref, const std::string& value) {
  const auto state = DecodeBatchState(value);
  if (!state) {
    history_.unreadable_frame = "state of " + FormatBatchRef(ref) + ": " + state.error().message;
    return;
  }
  Note("state of " + FormatBatchRef(ref) + ", epoch " + std::to_string(state->epoch) + ", generation " +
       std::to_string(state->generation) + ", phase " +
       std::string(hearth::kBatchPhases.at(static_cast<std::size_t>(state->phase)).name));
  auto& last = states_[ref];
  const BatchState before = std::exchange(last, *state);
  if (state->epoch < before.epoch) {  // its writer does not know that it is no owner any more
    Count(Fault::kStaleState);
    for (std::int32_t g = 0; g <= before.generation; ++g) {
      history_.batches.forgotten_completions.insert(ItemInvocationId(ref.batch, kOnCompleteIndex, g).value);
    }
    return;
  }
  if (state->phase != BatchPhase::kEnded) return;
  const Batch* batch = Find(ref);
  if (batch == nullptr || batch->accepted.empty() || state->total == 0) return Count(Fault::kBatchRefused);
  dispatcher::ItemStatuses statuses(state->total, state->generation, state->selection);
  for (const auto& [key, page] : pages_) {
    if (key.batch == ref) (void)statuses.Read(key, page);
  }
  BatchEnd end{FormatBatchRef(ref), state->generation, state->selection, state->counts, {}, now_us_};
  for (std::int64_t i = 0; i < state->total; ++i) end.statuses.push_back(statuses.Of(i));
  Count(Fault::kBatchEnded);
  if (state->generation > 0) Count(Fault::kBatchRedriven);
  if (state->outcome == BatchOutcome::kCancelled || state->outcome == BatchOutcome::kExpired) {
    Count(Fault::kBatchStopped);
  }
  if (state->counts[ItemStatus::kGone] > 0) Count(Fault::kItemGone);
  history_.batches.ends.push_back(std::move(end));
}

// On the topic of results, or on that of what cannot be delivered.
std::int64_t World::AppendResult(const OutRecord& record) {
  if (std::ranges::none_of(record.headers, [](const Header& one) { return one.name == "hearth-batch"; })) return -1;
  Record result;
  result.key = record.key;
  result.value = record.value;
  result.headers = record.headers;
  const auto mark = DecodeResultMark(result);
  if (!mark) {
    history_.unreadable_frame = "a result: " + mark.error().message;
    return -1;
  }
  history_.batches.results.push_back(
      {{FormatBatchRef(mark->place.batch), mark->generation, mark->place.index}, history_.outcomes.back().status});
  return record.topic == kBatchResults ? results_[static_cast<std::size_t>(record.partition)]++ : -1;
}

// What a former owner that does not know that it is one writes comes through all the same.
void World::CountStale(int index, const dispatcher::WritePage& write) {
  if (write.key.batch.batch.empty()) return;
  const auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  const bool is_owner = partitions_[static_cast<std::size_t>(IndexOf(write.key.partition))].owner == index;
  if (!is_owner || node.deposed) Count(Fault::kStalePage);
}

void World::NoteStatusPage(const dispatcher::WritePage& write) {
  const Batch* batch = Find(write.key.batch);
  const auto page = dispatcher::StatusPage::Decode(write.value, batch->spec.total);
  if (!page) {
    history_.unreadable_frame = "a page of statuses: " + page.error().message;
    return;
  }
  StatusesTold told{
      FormatBatchRef(batch->ref), static_cast<std::int32_t>(write.key.generation), {}, history_.batches.results.size()};
  for (std::int64_t i = 0; i < page->items(); ++i) told.statuses.push_back(page->Of(i));
  history_.batches.told.push_back(std::move(told));
}

// ---- what must not be

// A former owner that does not know of it writes under the epoch that it had.
void World::JudgeEpoch(int index, const dispatcher::WritePage& write) {
  const auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  if (write.key.batch.batch.empty() || write.value.empty() || node.deposed) return;
  if (partitions_[static_cast<std::size_t>(IndexOf(write.key.partition))].owner != index) return;
  for (const auto& [key, value] : pages_) {
    if (key.batch != write.key.batch || key.epoch <= write.key.epoch) continue;
    history_.batches.epoch_fell = "a page of " + FormatBatchRef(key.batch) + " is written under epoch " +
                                  std::to_string(write.key.epoch) + " after " + std::to_string(key.epoch);
  }
}

void World::JudgeRun(const guest::Run& run) {
  const auto to = sent_to_.find(run.id.value);
  if (to == sent_to_.end() || to->second.topic.find('/') == std::string::npos) return;
  const Batch& batch = *Find(*ParseBatchRef(to->second.topic));
  const ItemOf& item = batch.items.at(run.id.value);
  auto& fault = history_.batches.not_accepted;
  if (!fault.empty()) return;
  if (batch.accepted.empty()) {
    fault = run.id.value + " ran before any owner had taken its batch";
    return;
  }
  if (item.index == kOnCompleteIndex) {
    const auto state = DecodeBatchState(run.input);
    const bool fine = state && state->phase == BatchPhase::kEnded && state->generation == item.generation;
    if (!fine) fault = run.id.value + " was not told that its batch has ended";
    return;
  }
  const BatchSpec& spec = batch.accepted.front().second;
  std::string expected = "in-" + std::to_string(item.index);
  if (const auto* values = std::get_if<InlineItems>(&spec.items)) {
    expected = values->payloads.at(static_cast<std::size_t>(item.index));
  } else if (std::holds_alternative<CountedItems>(spec.items)) {
    expected = CountedItem(item.index).payload;
  }
  if (run.input != expected) fault = run.id.value + " ran with '" + run.input + "' instead of '" + expected + "'";
}

// Where the owner's copy of the spec lies: an owner that has read it asks who runs items.
std::int64_t World::AcceptedAt(const link::Exec& exec) const {
  const Batch* batch = Find(*ParseBatchRef(exec.ref.partition.topic));
  return batch == nullptr || batch->accepted.empty() ? INT64_MAX : batch->accepted.front().first;
}

void World::NoteItemPlaced(int index, const ExecutorId& executor, const link::Exec& exec) {
  const Batch& batch = *Find(*ParseBatchRef(exec.ref.partition.topic));
  if (exec.item->index == kOnCompleteIndex || batch.accepted.empty()) return;
  const int number = std::stoi(executor.value.substr(executor.value.rfind('-') + 1));
  placed_items_[{index, number}].insert({exec.ref.partition.topic, exec.ref.offset});
  const std::int32_t most = batch.accepted.front().second.concurrency;
  if (batch.steered || most == kNoBatchConcurrency) return;
  std::int64_t placed = 0;
  for (const auto& [pair, items] : placed_items_) {
    if (pair.first != index) continue;
    placed += std::ranges::count_if(items, [&](const auto& one) { return one.first == exec.ref.partition.topic; });
  }
  if (placed <= most) return;
  history_.batches.window_passed = std::to_string(placed) + " items of " + exec.ref.partition.topic +
                                   " are placed at once, and it may have " + std::to_string(most);
}

void World::NoteItemsEnd(const Connection& connection, const link::Message& message) {
  const auto found = placed_items_.find({connection.dispatcher, connection.executor});
  if (found == placed_items_.end()) return;
  const auto end = [&](const link::AttemptRef& ref) { found->second.erase({ref.partition.topic, ref.offset}); };
  if (const auto* done = std::get_if<link::Done>(&message)) end(done->ref);
  if (const auto* nack = std::get_if<link::Nack>(&message)) end(nack->ref);
  if (const auto* report = std::get_if<link::FenceReport>(&message)) {
    for (const link::Done& done : report->finished) end(done.ref);
  }
}

// As its dispatcher takes it: the lease of its executor is over, or it never arrived there.
void World::NoteItemLost(int index, const dispatcher::Trace& trace) {
  for (auto& [pair, items] : placed_items_) {
    if (pair.first == index) items.erase({trace.partition.topic, trace.offset});
  }
}

void World::ForgetPlaced(int dispatcher) {
  std::erase_if(placed_items_, [&](const auto& one) { return one.first.first == dispatcher; });
}

}  // namespace hearth::simulation
