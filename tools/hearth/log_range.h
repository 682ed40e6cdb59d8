// Reads what lies between two offsets of a partition. Blocks; one thread.
#pragma once

#include <cstdint>
#include <functional>

#include "common/base/result.h"
#include "common/kafka/partition_reader.h"
#include "schemas/record.h"
#include "tools/hearth/context.h"

namespace hearth::tool {

// Each record from `first` on and before `end` that is there, in their order. An error of `told` ends it. kUnavailable:
// nothing came for long; kNotFound: the topic, or the first offset, is not there any more.
Result<void> ReadRange(kafka::PartitionReader& reader, std::int64_t first, std::int64_t end, Progress& progress,
                       const std::function<Result<void>(const Record& record)>& told);

}  // namespace hearth::tool
