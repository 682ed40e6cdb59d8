// What is wished of a batch that is there: pause, resume, cancel, set, redrive.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tools/hearth/batch_results.h"
#include "tools/hearth/context.h"

namespace hearth::tool {

int PauseBatch(const Context& context, const std::string& id);
int ResumeBatch(const Context& context, const std::string& id);
// `now`: what runs is ended too.
int CancelBatch(const Context& context, const std::string& id, bool now);

// As they were written; empty: as it is.
struct SetBatchOptions {
  std::optional<std::int32_t> concurrency;
  std::optional<std::int32_t> priority;
  std::string tolerate;  // "none": all items run
  std::string deadline;
};
int SetBatch(const Context& context, const std::string& id, const SetBatchOptions& options);

struct RedriveOptions {
  std::string status;   // empty: StatusSelection::Default
  std::string version;  // empty: that of the batch
  bool wait = false;
  ResultFiles results;
};
int RedriveBatch(const Context& context, const std::string& id, const RedriveOptions& options);

}  // namespace hearth::tool
