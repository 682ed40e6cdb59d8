// Where the items of a batch lie, from the offsets that the brokers acknowledged. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "schemas/batch_spec.h"
#include "schemas/limits.h"

namespace hearth::tool {

// Joins neighbours over the records of others between them, those with the fewest between them first, until there are
// at most `most`. `ranges` rise and are apart; `most` is at least 1.
void JoinNearest(std::vector<OffsetRange>& ranges, std::size_t most);

// Place k of the ranges, one behind the other, is the k-th offset that was added, as long as nothing had to be joined.
class RangeCollector {
 public:
  explicit RangeCollector(std::int32_t partition, std::size_t most = kMaxBatchRanges)
      : partition_(partition), most_(most) {}

  // Offsets rise.
  void Add(std::int64_t offset);
  // At most as many as a spec may have. Call once, last.
  std::vector<OffsetRange> Finish();

 private:
  // Ranges that are kept while offsets come, for each that may be left: what is joined early is not the best choice.
  static constexpr std::size_t kKept = 16;

  std::int32_t partition_;
  std::size_t most_;
  std::vector<OffsetRange> ranges_;
};

}  // namespace hearth::tool
