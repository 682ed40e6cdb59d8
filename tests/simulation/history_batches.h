// What really happened to the batches of a run, and the verdicts over it. Part of a History.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "schemas/batch.h"

namespace hearth::simulation {

struct History;

// Which run of which item an invocation is. The index is kOnCompleteIndex for what runs once the batch is complete.
struct ItemOf {
  std::string batch;
  std::int32_t generation = 0;
  std::int64_t index = 0;
};
// What its clients have made of a batch.
struct BatchMade {
  bool completes = false;       // something runs once it is complete
  bool may_be_stopped = false;  // it has a tolerance, or somebody wished to cancel it
  bool may_expire = false;
  std::set<std::int64_t> removed;  // indices whose records retention took
};
// A result that is durable.
struct ItemResult {
  ItemOf item;
  std::string status;
};
// A page of statuses that is durable.
struct StatusesTold {
  std::string batch;
  std::int32_t generation = 0;
  std::vector<ItemStatus> statuses;
  std::size_t results_before = 0;
};
// A state that says that the batch has ended is durable. `statuses` are those that its pages told then.
struct BatchEnd {
  std::string batch;
  std::int32_t generation = 0;
  StatusSelection selection;
  ItemCounts counts;
  std::vector<ItemStatus> statuses;
  std::int64_t at_us = 0;
};

struct BatchHistory {
  std::map<std::string, BatchMade> made;
  std::vector<ItemResult> results;  // in the order in which they became durable
  std::vector<StatusesTold> told;
  std::vector<BatchEnd> ends;
  // Ids of what runs on completion, of which a state told that a former owner has replaced by an older one. An owner
  // that comes before its predecessor has seen that does not know of them.
  std::set<std::string> forgotten_completions;
  // The first time that something was seen that must not be; empty: never.
  std::string not_accepted;   // something ran that was not in the spec that the owner had taken
  std::string window_passed;  // more of a batch was placed at once than its concurrency
  std::string epoch_fell;     // an owner wrote a page under a lower epoch than a former one
};

// Name and counter-example of each verdict, in a fixed order.
std::vector<std::pair<std::string, std::string>> CheckBatches(const History& history);

}  // namespace hearth::simulation
