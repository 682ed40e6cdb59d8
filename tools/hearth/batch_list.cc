#include "tools/hearth/batch_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "tools/hearth/batch_store.h"
#include "tools/hearth/batch_text.h"

namespace hearth::tool {

std::vector<ListedBatch> ChooseBatches(std::map<BatchId, BatchState> states, const BatchChoice& choice) {
  std::vector<ListedBatch> batches;
  for (auto& [id, state] : states) {
    const auto has = [&labels = state.labels](const auto& wanted) {
      const auto label = labels.find(wanted.first);
      return label != labels.end() && label->second == wanted.second;
    };
    const bool is_one = !choice.running || state.phase != BatchPhase::kEnded;
    if (is_one && std::ranges::all_of(choice.labels, has)) batches.push_back({id, std::move(state)});
  }
  const auto submitted = [](const ListedBatch& batch) { return batch.state.times.submitted_ms; };
  if (choice.order == BatchOrder::kNewestFirst) {
    std::ranges::stable_sort(batches, std::greater(), submitted);
  } else {
    std::ranges::stable_sort(batches, std::less(), submitted);
  }
  return batches;
}

std::string BatchTable(const std::vector<ListedBatch>& batches) {
  std::size_t width = std::string_view("BATCH").size();
  for (const auto& batch : batches) width = std::max(width, batch.id.str().size());
  std::string text = fmt::format("{:<{}}  {:<20} {:>17} {:>9} {:>9}  {:<23}  {}\n", "BATCH", width, "FUNCTION", "DONE",
                                 "FAILED", "RATE", "SUBMITTED", "STATE");
  for (const auto& [id, state] : batches) {
    const std::int64_t done = state.total - state.counts[ItemStatus::kPending];
    const bool has_rate = state.phase != BatchPhase::kEnded && state.rate_per_min > 0;
    text += fmt::format("{:<{}}  {:<20} {:>17} {:>9} {:>9}  {:<23}  {}\n", id.str(), width, state.function.str(),
                        fmt::format("{}/{}", done, state.total), state.counts.Failed(),
                        has_rate ? ShowRate(state.rate_per_min) : "-", ShowTime(state.times.submitted_ms),
                        Shown(ShowPhase(state)));
  }
  return text;
}

nlohmann::json BatchesJson(const UserId& user, const std::vector<ListedBatch>& batches) {
  auto json = nlohmann::json::array();
  for (const auto& [id, state] : batches) json.push_back(StateJson({user, id}, state));
  return json;
}

Result<std::vector<ListedBatch>> ReadBatches(const Context& context, const BatchChoice& choice) {
  const auto homes = FindHomes(context, {Topic::kBatchState});
  if (!homes) return std::unexpected(homes.error());
  std::map<BatchId, BatchState> all;
  for (const std::int32_t home : *homes) {
    auto reader = StateReader::Open(context, home);
    if (!reader) return std::unexpected(reader.error());
    std::map<BatchId, BatchState> states;
    const auto read = reader->ReadAll([&](StateReader::Seen seen) {
      if (seen.ref.user.str() != context.user.value) return;
      states.erase(seen.ref.batch);
      if (seen.state && !IsUnknown(*seen.state)) states.emplace(seen.ref.batch, std::move(*seen.state));
    });
    if (!read) return std::unexpected(read.error());
    all.merge(states);  // of one name the user's own partition has the one that is meant
  }
  return ChooseBatches(std::move(all), choice);
}

}  // namespace hearth::tool
