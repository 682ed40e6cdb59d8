// The keys by which the executor's core finds attempts, functions and code.
#pragma once

#include <cstdint>
#include <tuple>
#include <utility>

#include "common/base/ids.h"
#include "schemas/function.h"
#include "schemas/link.h"

namespace hearth::executor {

// An attempt without its epoch: offset, attempt, generation of the ledger, partition. A new owner of the partition
// raises the epoch and changes none of these. What tells most of them apart comes first, so that a search seldom
// compares the names of topics.
using AttemptKey = std::tuple<std::int64_t, std::int32_t, std::int64_t, PartitionId>;
using FunctionVersion = std::tuple<UserId, FunctionName, std::int64_t>;
// Code belongs to its user: equal bytes of two users are two codes.
using UserCode = std::pair<UserId, CodeHash>;

[[nodiscard]] inline AttemptKey KeyOf(const link::AttemptRef& ref) {
  return {ref.offset, ref.attempt, ref.generation, ref.partition};
}
[[nodiscard]] inline const PartitionId& PartitionOf(const AttemptKey& key) {
  return std::get<PartitionId>(key);
}
[[nodiscard]] inline FunctionVersion VersionOf(const Function& function) {
  return {function.user, function.name, function.version};
}

}  // namespace hearth::executor
