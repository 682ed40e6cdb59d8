// Finds a record by its key in what a topic holds already, without a group: first in the partition where hearth's own
// producers put that key, then in the others. Bounded by records and time. Blocks; for the command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/result.h"
#include "schemas/record.h"

namespace hearth::kafka {

struct FindLimits {
  std::int64_t since_ms = 0;           // records from that time on, ms since the epoch
  std::int64_t max_records = 200'000;  // read at most so many
  std::int64_t timeout_ms = 20'000;
};
struct Found {
  std::optional<Record> record;  // the first one with the key
  std::int64_t looked_at = 0;
  bool whole = true;  // false: a limit ended the search
};

// kNotFound: no such topic. kUnavailable: the brokers are away.
Result<Found> FindByKey(const std::string& bootstrap, const std::string& client_id, const std::string& topic,
                        const std::string& key, const FindLimits& limits);

}  // namespace hearth::kafka
