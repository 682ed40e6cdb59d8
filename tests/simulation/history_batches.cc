#include "tests/simulation/history_batches.h"

#include <algorithm>
#include <tuple>

#include "schemas/batch_item.h"
#include "tests/simulation/history.h"

namespace hearth::simulation {
namespace {

// Somebody has said it in a result, and nobody else may say it. What expires or is cancelled may have been swept.
bool NeedsResult(ItemStatus status) {
  return status == ItemStatus::kOk || status == ItemStatus::kError || status == ItemStatus::kTimeout ||
         status == ItemStatus::kOom || status == ItemStatus::kPoison || status == ItemStatus::kRejected;
}

std::string NameOf(const std::string& batch, std::int32_t generation, std::size_t index) {
  return "item " + std::to_string(index) + " of " + batch + ", generation " + std::to_string(generation) + ",";
}

// Of each item and status, in which generations and when it became durable.
using Results =
    std::map<std::tuple<std::string, std::int64_t, std::string>, std::vector<std::pair<std::int32_t, std::size_t>>>;
Results ResultsOf(const BatchHistory& batches) {
  Results results;
  for (std::size_t at = 0; at < batches.results.size(); ++at) {
    const auto& [item, status] = batches.results[at];
    results[{item.batch, item.index, status}].emplace_back(item.generation, at);
  }
  return results;
}
bool Has(const Results& results, const std::string& batch, std::size_t index, ItemStatus status, std::int32_t first,
         std::int32_t last, std::size_t before) {
  const auto found = results.find({batch, static_cast<std::int64_t>(index), std::string(RowOf(status).name)});
  return found != results.end() && std::ranges::any_of(found->second, [&](const auto& one) {
           return one.first >= first && one.first <= last && one.second < before;
         });
}

// A page says of no item what no result says.
std::string ReplyBeforeStatus(const BatchHistory& batches, const Results& results) {
  for (const StatusesTold& told : batches.told) {
    for (std::size_t i = 0; i < told.statuses.size(); ++i) {
      const ItemStatus status = told.statuses[i];
      if (!NeedsResult(status)) continue;
      if (Has(results, told.batch, i, status, 0, told.generation, told.results_before)) continue;
      return "a page says that " + NameOf(told.batch, told.generation, i) + " is " + std::string(RowOf(status).name) +
             ", and no result does";
    }
  }
  return "";
}

std::string CountsAreSums(const BatchHistory& batches) {
  for (const BatchEnd& end : batches.ends) {
    ItemCounts sums;
    for (const ItemStatus status : end.statuses) ++sums[status];
    if (sums == end.counts && sums[ItemStatus::kPending] == 0) continue;
    std::string text = "the state of " + end.batch + ", generation " + std::to_string(end.generation) + ", counts";
    for (const ItemStatusRow& row : kItemStatuses) {
      text += " " + std::string(row.name) + " " + std::to_string(end.counts[row.status]) + "/" +
              std::to_string(sums[row.status]);
    }
    return text + " of those that its pages tell";
  }
  return "";
}

// No item has a status for which there was no cause.
std::string StatusesHaveCauses(const BatchHistory& batches) {
  for (const BatchEnd& end : batches.ends) {
    const BatchMade& made = batches.made.at(end.batch);
    for (std::size_t i = 0; i < end.statuses.size(); ++i) {
      const ItemStatus status = end.statuses[i];
      const bool is_removed = made.removed.contains(static_cast<std::int64_t>(i));
      const bool fine = (status != ItemStatus::kGone || is_removed) &&
                        (status != ItemStatus::kCancelled || made.may_be_stopped) &&
                        (status != ItemStatus::kExpired || made.may_expire) && status != ItemStatus::kRejected;
      if (!fine)
        return NameOf(end.batch, end.generation, i) + " is " + std::string(RowOf(status).name) + " for no reason";
    }
  }
  return "";
}

// Of each batch and generation, the state that has ended it first.
using Ends = std::map<std::pair<std::string, std::int32_t>, const BatchEnd*>;
Ends FirstEnds(const BatchHistory& batches) {
  Ends ends;
  for (const BatchEnd& end : batches.ends) ends.try_emplace({end.batch, end.generation}, &end);
  return ends;
}

std::string GenerationsStayApart(const History& history, const Results& results) {
  const Ends ends = FirstEnds(history.batches);
  for (const BatchEnd& end : history.batches.ends) {
    const BatchEnd& first = *ends.at({end.batch, end.generation});
    if (first.statuses != end.statuses) {
      return "batch " + end.batch + ", generation " + std::to_string(end.generation) +
             ", has ended twice, and not alike";
    }
    const auto before = ends.find({end.batch, end.generation - 1});
    if (before == ends.end()) {
      if (end.generation == 0) continue;
      return "batch " + end.batch + ", generation " + std::to_string(end.generation) + ", follows none that has ended";
    }
    for (std::size_t i = 0; i < end.statuses.size(); ++i) {
      const ItemStatus was = before->second->statuses[i];
      const ItemStatus is = end.statuses[i];
      if (!end.selection.Has(was)) {
        if (is != was) return NameOf(end.batch, end.generation, i) + " was not to run again, and has another status";
      } else if (NeedsResult(is) && !Has(results, end.batch, i, is, end.generation, end.generation, SIZE_MAX)) {
        return NameOf(end.batch, end.generation, i) + " is " + std::string(RowOf(is).name) +
               ", and no result of the generation says so";
      }
    }
  }
  std::map<std::string, const ItemOf*> items;
  for (const Sent& sent : history.sent) {
    if (sent.item) items[sent.id] = &*sent.item;
  }
  for (const Execution& run : history.executions) {
    const auto found = items.find(run.id);
    if (found == items.end()) continue;
    const auto& [batch, generation, index] = *found->second;
    const bool completes = index == kOnCompleteIndex;
    if (!completes && generation == 0) continue;
    const auto before = ends.find({batch, completes ? generation : generation - 1});
    if (before == ends.end() || before->second->at_us > run.begin_us) return run.id + " ran before its time";
    const auto after = ends.find({batch, generation});
    if (completes || after == ends.end()) continue;
    if (!after->second->selection.Has(before->second->statuses.at(static_cast<std::size_t>(index)))) {
      return run.id + " ran again, which the redrive did not name";
    }
  }
  return "";
}

// What runs once a batch is complete has run. That it has not run twice no_needless_repeat says.
std::string CompletionRuns(const BatchHistory& batches) {
  std::set<std::pair<std::string, std::int32_t>> completed;
  for (const ItemResult& result : batches.results) {
    if (result.item.index == kOnCompleteIndex) completed.insert({result.item.batch, result.item.generation});
  }
  for (const BatchEnd& end : batches.ends) {
    if (!batches.made.at(end.batch).completes || completed.contains({end.batch, end.generation})) continue;
    return "what runs on completion of " + end.batch + ", generation " + std::to_string(end.generation) + ", has not";
  }
  return "";
}

}  // namespace

std::vector<std::pair<std::string, std::string>> CheckBatches(const History& history) {
  const BatchHistory& batches = history.batches;
  const Results results = ResultsOf(batches);
  return {{"reply_before_status", ReplyBeforeStatus(batches, results)},
          {"counts_are_sums", CountsAreSums(batches)},
          {"statuses_have_causes", StatusesHaveCauses(batches)},
          {"generations_stay_apart", GenerationsStayApart(history, results)},
          {"completion_runs", history.quiescent ? CompletionRuns(batches) : ""},
          {"only_what_was_accepted", batches.not_accepted},
          {"window", batches.window_passed},
          {"epochs_of_pages", batches.epoch_fell}};
}

}  // namespace hearth::simulation
