// What the results of a batch say of its items when all of them are there, and how long nothing happened between them.
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hearth::bench {

// Counts results by item. Takes a byte for each item.
class ItemTally {
 public:
  explicit ItemTally(std::int64_t items) : results_(static_cast<std::size_t>(items)) {}

  // A result of the batch, whose items all ran in one generation.
  void Add(std::int64_t index, bool right_generation, bool ok);

  [[nodiscard]] std::int64_t missing() const;   // items without a result
  [[nodiscard]] std::int64_t repeated() const;  // items with more than one
  // Results of another generation, or of an item that the batch does not have. They count nowhere else.
  [[nodiscard]] std::int64_t strange() const { return strange_; }
  [[nodiscard]] std::int64_t failed() const { return failed_; }  // results that are not ok

 private:
  std::vector<std::uint8_t> results_;  // of each item, kMany at most
  std::int64_t strange_ = 0;
  std::int64_t failed_ = 0;
};

// The longest span between two moments that follow each other and of which the later one lies behind `from`, the
// earlier one before `to`. What lies behind `to` of such a span is not counted. `moments` are in order. 0 where there
// are fewer than two.
std::int64_t LongestSilence(const std::vector<std::int64_t>& moments, std::int64_t from, std::int64_t to);

}  // namespace hearth::bench
