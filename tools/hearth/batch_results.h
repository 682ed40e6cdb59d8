// Writes the results of a batch, a line each.
#pragma once

#include <cstdint>
#include <string>

#include "schemas/batch.h"
#include "schemas/batch_state.h"
#include "tools/hearth/context.h"
#include "tools/hearth/interrupts.h"

namespace hearth::tool {

struct ResultFiles {
  std::string out;         // empty: not wanted; "-": the standard output
  std::string errors;      // what is not ok goes there too; empty: not wanted
  bool failed = false;     // only what is not ok is wanted
  bool unordered = false;  // as they lie on Kafka, and not by index
  [[nodiscard]] bool empty() const { return out.empty() && errors.empty(); }
};

// Whether they could be written now; kInvalid: not.
Result<void> CheckFiles(const ResultFiles& files);

// Reads hearth.batch.results where the state says, twice: first for which result of an item counts, then for the lines.
// Takes 18 bytes of memory for each item of the batch at most (180 MB for 10⁷), and kSortWindowBytes twice. The files
// are whole or not written; those of a batch that still runs have what has ended.
//
// The exit code: kFailed, with the number, also where results were removed from the topic; what is left is written
// then.
constexpr std::size_t kSortWindowBytes = 64U << 20;
int WriteResults(const Context& context, std::int32_t home, const BatchRef& ref, const BatchState& state,
                 const ResultFiles& files, Interrupts& interrupts);

// Prints the result of what ran when the batch was complete, as a line of results with the index -1. The exit code:
// kFailed where there is none.
int ShowOnComplete(const Context& context, std::int32_t home, const BatchRef& ref, const BatchState& state);

}  // namespace hearth::tool
