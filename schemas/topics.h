// hearth's topics. The table is the only place that lists them: the daemons' configuration, `hearth topics create` and
// the rule that no reply goes to one of hearth's own derive from it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "schemas/table.h"

namespace hearth {

enum class Topic : std::uint8_t {
  kRealtime,
  kStandard,
  kBatch,
  kReply,
  kFunctions,
  kSettings,
  kDeadLetter,
  kUndeliverable,
  kUsage,
  kLedger,
  kBatches,
  kBatchItems,
  kBatchState,
  kBatchResults,
};

// What is asked of Kafka for it. Requests are kept for a day: longer than an invocation may wait (6 h) with its delays,
// or Kafka itself would lose queued work. Where keys are written over and over, their old values shall go soon.
enum class Retention : std::uint8_t { kDay, kWeek, kCompacted, kCompactedSoon };

struct TopicRow {
  Topic topic;
  std::string_view key;   // in the configuration's table [topics]
  std::string_view name;  // where the configuration says nothing else
  bool spread;            // over many partitions; else it has one
  Retention retention;
  bool whole_records;  // takes records of the largest size that hearth reads and writes
  bool own;            // hearth's own: no reply goes there
  std::string_view writer;
  std::string_view content;
  bool append_time = false;  // a record's timestamp is when it arrived: it is kept for the whole time from then on
};

inline constexpr std::array kTopics = {
    TopicRow{Topic::kRealtime, "rt", "hearth.invoke.rt", true, Retention::kDay, true, true, "callers",
             "requests of the class `rt`"},
    TopicRow{Topic::kStandard, "std", "hearth.invoke.std", true, Retention::kDay, true, true, "callers",
             "requests of the class `std`"},
    TopicRow{Topic::kBatch, "batch", "hearth.invoke.batch", true, Retention::kDay, true, true, "callers",
             "requests of the class `batch`"},
    TopicRow{Topic::kReply, "reply", "hearth.reply", true, Retention::kDay, true, false, "executors, dispatchers",
             "results"},
    TopicRow{Topic::kFunctions, "functions", "hearth.functions", false, Retention::kCompacted, false, true,
             "hearth deploy", "the registry: `USER/NAME` and the function"},
    TopicRow{Topic::kSettings, "settings", "hearth.settings", false, Retention::kCompacted, false, true, "hearth pool",
             "what `hearth pool set` set"},
    TopicRow{Topic::kDeadLetter, "dead_letter", "hearth.dead-letter", false, Retention::kWeek, true, true,
             "dispatchers", "requests that failed for good or could not be read"},
    TopicRow{Topic::kUndeliverable, "undeliverable", "hearth.undeliverable", false, Retention::kWeek, true, true,
             "executors, dispatchers", "results whose reply topic refused them"},
    TopicRow{Topic::kUsage, "usage", "hearth.usage", false, Retention::kWeek, false, true, "executors",
             "what each execution used, best effort"},
    TopicRow{Topic::kLedger, "ledger", "hearth.ledger", true, Retention::kCompactedSoon, false, true, "dispatchers",
             "pages of ledgers: which records are complete, where a commit has no room for it"},
    TopicRow{Topic::kBatches, "batches", "hearth.batches", true, Retention::kCompactedSoon, false, true, "callers",
             "batches: what each is, and what is wished of it"},
    TopicRow{Topic::kBatchItems, "batch_items", "hearth.batch.items", true, Retention::kWeek, true, true, "callers",
             "items of batches", true},
    TopicRow{Topic::kBatchState, "batch_state", "hearth.batch.state", true, Retention::kCompactedSoon, false, true,
             "dispatchers", "how far each batch is"},
    TopicRow{Topic::kBatchResults, "batch_results", "hearth.batch.results", true, Retention::kWeek, true, true,
             "executors, dispatchers", "results of items", true},
};
static_assert(RowsInOrder(kTopics, &TopicRow::topic));

constexpr const TopicRow& RowOf(Topic topic) {
  return kTopics.at(static_cast<std::size_t>(topic));
}
constexpr std::string_view TopicName(Topic topic) {
  return RowOf(topic).name;
}
// Where requests go, the most urgent first.
inline constexpr std::array kRequestTopics = {Topic::kRealtime, Topic::kStandard, Topic::kBatch};

// The names that one installation has for them.
class TopicNames {
 public:
  // `setting` gives the configured name of a topic, or the row's.
  using Setting = std::function<std::string(const TopicRow&)>;
  static TopicNames Read(const Setting& setting);
  TopicNames();  // as the table says

  [[nodiscard]] const std::string& operator[](Topic topic) const { return names_.at(static_cast<std::size_t>(topic)); }
  // Those that no reply goes to. A reply there could feed a function itself, register code or forge a history.
  [[nodiscard]] std::set<std::string, std::less<>> Own() const;

 private:
  std::array<std::string, kTopics.size()> names_;
};

}  // namespace hearth
