#include "tools/hearth/batch_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "common/base/time.h"
#include "common/kafka/compacted.h"
#include "tools/hearth/batch_text.h"
#include "tools/hearth/nearest.h"
#include "tools/hearth/waiting.h"

namespace hearth::tool {
namespace {

constexpr std::int64_t kStoreTurnMs = 200;
constexpr std::size_t kMaxNamed = 12;  // of those who have a batch of a name
constexpr std::array kBatchTopics = {Topic::kBatches, Topic::kBatchItems, Topic::kBatchState, Topic::kBatchResults};

}  // namespace

Result<std::int32_t> HomeIn(const std::vector<kafka::TopicInfo>& topics, const UserId& user,
                            std::initializer_list<Topic> needed) {
  std::vector<std::string> counts;
  std::set<int> different;
  for (const Topic topic : kBatchTopics) {
    const auto found = std::ranges::find(topics, TopicName(topic), &kafka::TopicInfo::name);
    if (found != topics.end()) {
      counts.push_back(fmt::format("{} {}", found->name, found->partitions));
      different.insert(found->partitions);
    } else if (std::ranges::find(needed, topic) != needed.end()) {
      return Fail(Code::kNotFound,
                  fmt::format("no topic {} (hearth topics create makes hearth's own)", TopicName(topic)));
    }
  }
  if (different.size() == 1) return kafka::PartitionOfKey(user.str(), *different.begin());
  return Fail(Code::kNotFound, fmt::format("the topics of batches have different numbers of partitions, so a batch has "
                                           "no place in them: {}",
                                           fmt::join(counts, ", ")));
}

Result<std::vector<std::int32_t>> FindHomes(const Context& context, std::initializer_list<Topic> needed) {
  const auto topics = kafka::ListTopics(context.bootstrap.value, kServerTimeoutMs);
  if (!topics) return std::unexpected(topics.error());
  const auto home = HomeIn(*topics, UserId(context.user.value), needed);
  if (!home) return std::unexpected(home.error());
  std::vector homes{*home};
  const auto found = std::ranges::find(*topics, TopicName(*needed.begin()), &kafka::TopicInfo::name);
  for (std::int32_t each = 0; each < found->partitions; ++each) {
    if (each != *home) homes.push_back(each);
  }
  return homes;
}

Result<std::int32_t> FindHome(const Context& context, std::initializer_list<Topic> needed) {
  const auto homes = FindHomes(context, needed);
  if (!homes) return std::unexpected(homes.error());
  return homes->front();
}

Result<StateReader> StateReader::Open(const Context& context, std::int32_t home) {
  auto reader = kafka::PartitionReader::Open(context.bootstrap.value, "hearth-cli",
                                             {std::string(TopicName(Topic::kBatchState)), home}, kServerTimeoutMs);
  if (!reader) return std::unexpected(reader.error());
  return StateReader(std::move(*reader));
}

Result<void> StateReader::ReadAll(const std::function<void(Seen)>& told) {
  const auto bounds = reader_.Bounds(kServerTimeoutMs);
  if (!bounds) return std::unexpected(bounds.error());
  if (auto begun = reader_.Seek(bounds->start); !begun) return begun;
  std::int64_t deadline_us = ReadClocks().mono_us + kServerTimeoutMs * kMicrosPerMilli;
  std::string trouble = "the states of batches did not come in time";
  while (reader_.position() < bounds->end) {
    const std::int64_t before = reader_.position();
    auto seen = Next(kStoreTurnMs);
    if (!seen) trouble = seen.error().message;
    if (seen && *seen) told(std::move(**seen));
    const std::int64_t now_us = ReadClocks().mono_us;
    if (reader_.position() > before) deadline_us = now_us + kServerTimeoutMs * kMicrosPerMilli;
    if (now_us > deadline_us) return Fail(Code::kUnavailable, trouble);
  }
  return {};
}

Result<std::optional<StateReader::Seen>> StateReader::Next(std::int64_t timeout_ms) {
  auto record = reader_.Next(timeout_ms);
  if (!record) return std::unexpected(record.error());
  if (!*record) return std::nullopt;
  auto ref = ParseBatchRef((*record)->key);
  if (!ref) return std::nullopt;
  if ((*record)->value.empty()) return Seen{std::move(*ref)};
  auto state = DecodeBatchState((*record)->value);
  if (!state) return Seen{std::move(*ref), std::nullopt, state.error().message};
  return Seen{std::move(*ref), std::move(*state)};
}

Result<BatchFollower> BatchFollower::Open(const Context& context, std::int32_t home, BatchRef ref) {
  auto reader = StateReader::Open(context, home);
  if (!reader) return std::unexpected(reader.error());
  BatchFollower follower(std::move(*reader), std::move(ref));
  auto read = follower.reader_.ReadAll([&follower](StateReader::Seen seen) {
    if (seen.ref == follower.ref_) follower.Take(std::move(seen));
  });
  if (!read) return std::unexpected(read.error());
  if (!follower.unreadable_.empty()) {
    return Fail(Code::kInvalid,
                "the state of " + follower.ref_.batch.str() + " cannot be read: " + follower.unreadable_);
  }
  return follower;
}

Result<bool> BatchFollower::Next(std::int64_t timeout_ms) {
  auto seen = reader_.Next(timeout_ms);
  if (!seen) return std::unexpected(seen.error());
  if (!*seen || (*seen)->ref != ref_) return false;
  return Take(std::move(**seen));
}

bool BatchFollower::Take(StateReader::Seen seen) {
  unreadable_ = std::move(seen.unreadable);
  if (!unreadable_.empty()) return false;
  state_ = std::move(seen.state);
  return true;
}

Result<FoundBatch> FindBatch(const Context& context, const BatchRef& ref, std::initializer_list<Topic> needed) {
  const auto homes = FindHomes(context, needed);
  if (!homes) return std::unexpected(homes.error());
  std::optional<FoundBatch> found;
  for (const std::int32_t home : *homes) {
    auto batch = BatchFollower::Open(context, home, ref);
    if (!batch) return std::unexpected(batch.error());
    const bool is_there = batch->state() && !IsUnknown(*batch->state());
    if (is_there) return FoundBatch{home, std::move(*batch)};
    if (!found) found.emplace(home, std::move(*batch));
  }
  return std::move(*found);
}

Result<bool> WaitFor(const Context& context, BatchFollower& batch, std::int64_t timeout_ms,
                     const std::function<bool(const BatchFollower&)>& holds, Progress& progress, std::string& missing) {
  constexpr std::int64_t kLookEveryUs = 3 * kMicrosPerSecond;
  const std::int64_t begin_us = ReadClocks().mono_us;
  std::int64_t look_us = begin_us + kLookEveryUs;
  while (true) {
    const auto said = batch.Next(kStoreTurnMs);
    if (!said && said.error().code == Code::kNotFound) return std::unexpected(said.error());
    if (said && *said && holds(batch)) return true;
    const std::int64_t now_us = ReadClocks().mono_us;
    if (now_us - begin_us >= timeout_ms * kMicrosPerMilli) return false;
    if (!said) missing = said.error().message;
    if (now_us >= look_us) {
      missing = said ? WhoSeemsMissing(context) : said.error().message;
      look_us = now_us + kLookEveryUs;
    }
    progress.Note(missing);
  }
}

Result<void> WriteWant(const Context& context, std::int32_t home, const BatchRef& ref, const Want& want) {
  OutRecord record{std::string(TopicName(Topic::kBatches)),
                   FormatBatchKey({ref, BatchKey::Kind::kWant, FieldOf(want)}),
                   EncodeWant(want),
                   {}};
  record.partition = home;
  return ProduceOne(context, std::move(record));
}

std::string Again(const Context& context, std::string_view words) {
  std::string text = "hearth";
  for (const Setting* each : {&context.user, &context.bootstrap}) {
    if (each->origin == Origin::kOption) text += fmt::format(" {} {}", each->option, each->value);
  }
  return fmt::format("{} batch {}", text, words);
}

std::string ResumeHint(const Context& context, const BatchRef& ref) {
  return Again(context, "resume " + ref.batch.str()) + " goes on with it";
}

int ReportUnknownBatch(const Context& context, const BatchRef& ref) {
  std::vector<std::string> own;
  std::set<std::string> others;
  const auto topics = kafka::ListTopics(context.bootstrap.value, kServerTimeoutMs);
  const auto found = topics ? std::ranges::find(*topics, TopicName(Topic::kBatchState), &kafka::TopicInfo::name)
                            : std::vector<kafka::TopicInfo>::const_iterator();
  for (int i = 0; topics && found != topics->end() && i < found->partitions; ++i) {
    auto reader = StateReader::Open(context, i);
    std::map<BatchRef, bool> there;
    const auto tell = [&](const StateReader::Seen& seen) { there[seen.ref] = seen.state && !IsUnknown(*seen.state); };
    if (!reader || !reader->ReadAll(tell)) continue;  // what cannot be read is not advised
    for (const auto& [each, is_there] : there) {
      if (!is_there) continue;
      if (each.user == ref.user) own.push_back(each.batch.str());
      if (each.batch == ref.batch && each.user != ref.user && others.size() < kMaxNamed) others.insert(each.user.str());
    }
  }
  std::string way_out = Again(context, "list") + " tells which there are" + DidYouMean(ref.batch.str(), own);
  if (context.user.origin == Origin::kDefault) way_out += "\nthe user " + context.user.Another();
  if (!others.empty()) {
    way_out += fmt::format("\na batch {} belongs to {}", ref.batch.str(), fmt::join(others, ", "));
  }
  return Report(Error{Code::kNotFound, fmt::format("{} has no batch {}", ref.user.str(), ref.batch.str())}, way_out);
}

}  // namespace hearth::tool
