// The batches of a user as a list: `hearth batch list` and `hearth ps`.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "schemas/batch.h"
#include "schemas/batch_state.h"
#include "tools/hearth/context.h"

namespace hearth::tool {

struct ListedBatch {
  BatchId id;
  BatchState state;
};

enum class BatchOrder : std::uint8_t { kNewestFirst, kOldestFirst };  // by the time of submission
struct BatchChoice {
  bool running = false;  // only those that have not ended
  BatchOrder order = BatchOrder::kNewestFirst;
  std::map<std::string, std::string> labels{};  // only those that have all of these
};

// Pure.
std::vector<ListedBatch> ChooseBatches(std::map<BatchId, BatchState> states, const BatchChoice& choice);
// A header and a line for each. Pure.
std::string BatchTable(const std::vector<ListedBatch>& batches);
// What StateJson says of each. Pure.
nlohmann::json BatchesJson(const UserId& user, const std::vector<ListedBatch>& batches);

// Those of the context's user, as Kafka has them now. Blocks. kUnavailable: Kafka is away; kNotFound: there is no topic
// of states.
Result<std::vector<ListedBatch>> ReadBatches(const Context& context, const BatchChoice& choice);

}  // namespace hearth::tool
