// `hearth batch submit`: from a file to a batch that its owner has taken.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "schemas/batch_spec.h"
#include "tools/hearth/batch_input.h"
#include "tools/hearth/batch_results.h"
#include "tools/hearth/batch_store.h"
#include "tools/hearth/context.h"
#include "tools/hearth/interrupts.h"

namespace hearth::tool {

// As they were written; nothing is checked yet.
struct SubmitOptions {
  std::string file;
  std::string function;
  std::string id;
  std::string format;  // empty: csv for a file *.csv, else jsonl
  bool envelope = false;
  std::int64_t count = 0;  // 0: the items are in the file
  std::int32_t concurrency = kNoBatchConcurrency;
  std::int32_t priority = kDefaultBatchPriority;
  std::string tolerate;
  std::string deadline;
  std::vector<std::string> labels;
  std::string on_complete;
  std::string version;
  bool wait = false;
  ResultFiles results;
};

int Submit(const Context& context, const SubmitOptions& options);

// Follows the batch to its end in that generation, says what came of it, and writes its results where they are wanted.
int WaitForEnd(const Context& context, std::int32_t home, BatchFollower& batch, std::int32_t generation,
               const ResultFiles& results, Interrupts& interrupts);

// Whether the user has the function, and in that version; 0 where nothing is the matter, else what was reported.
int CheckFunction(const Context& context, const FunctionName& function, std::int64_t version);

}  // namespace hearth::tool
