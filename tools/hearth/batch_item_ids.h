// The clients' own names for items of a batch, from where the items lie. Blocks; one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>

#include "common/base/result.h"
#include "schemas/batch.h"
#include "tools/hearth/context.h"

namespace hearth::tool {

// By index, of those items that `wants` names and that have one. What is not there any more has none, and neither have
// items that do not lie on hearth.batch.items. kUnavailable: Kafka is away.
using ItemIds = Result<std::unordered_map<std::int64_t, std::string>>;
ItemIds ReadItemIds(const Context& context, std::int32_t home, const BatchRef& ref,
                    const std::function<bool(std::int64_t)>& wants, Progress& progress);

}  // namespace hearth::tool
