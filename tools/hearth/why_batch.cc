#include "tools/hearth/why_batch.h"

#include <fmt/format.h>

#include <algorithm>

#include "schemas/batch.h"
#include "tools/hearth/batch_store.h"
#include "tools/hearth/batch_text.h"

namespace hearth::tool {
namespace {

std::string Items(const ListedBatch& batch) {
  return fmt::format("{} to {}", ItemInvocationId(batch.id, 0, 0).str(),
                     ItemInvocationId(batch.id, std::max<std::int64_t>(batch.state.total - 1, 0), 0).str());
}

}  // namespace

std::vector<std::string> TellOfItem(const Context& context, const std::vector<ListedBatch>& batches,
                                    std::string_view id) {
  std::vector<std::string> lines;
  const auto find = [&](std::string_view name) {
    return std::ranges::find(batches, name, [](const ListedBatch& each) -> std::string_view { return each.id.value; });
  };
  if (const auto batch = find(id); batch != batches.end()) {
    lines.push_back(fmt::format("{} is a batch, {}; its items are {}", id, ShowPhase(batch->state), Items(*batch)));
    lines.push_back(Again(context, fmt::format("status {}", id)) + " tells how far it is");
  }
  const auto item = ParseItemInvocationId(id);
  const auto batch = item ? find(item->batch.value) : batches.end();
  if (batch == batches.end()) return lines;
  const BatchState& state = batch->state;
  const std::string& name = batch->id.value;
  if (item->index >= state.total) {
    lines.push_back(fmt::format("batch {} has {} items, {}", name, state.total, Items(*batch)));
  } else if (item->generation > state.generation) {
    lines.push_back(fmt::format("batch {} was redriven {} times", name, state.generation));
  } else {
    lines.push_back(fmt::format("it is item {} of batch {}, which is {}", item->index, name, ShowPhase(state)));
    lines.push_back(fmt::format("{}{} has what has ended",
                                state.phase == BatchPhase::kEnded ? "" : "what has not started is not known yet; ",
                                Again(context, "results " + name)));
    if (item->generation < state.generation) {
      lines.push_back(fmt::format("where it ran again, it is {}",
                                  ItemInvocationId(batch->id, item->index, state.generation).str()));
    }
  }
  return lines;
}

}  // namespace hearth::tool
