// The lines that `hearth batch results` writes, and their order. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/fd.h"
#include "common/base/result.h"
#include "schemas/batch.h"
#include "schemas/batch_item.h"
#include "schemas/result.h"

namespace hearth::tool {

// A line with its newline: {"i","id","status","out"}, or "error_type" and "error_message" in place of "out". The output
// is a JSON value where it is one, else a text; bytes that are no text are "out_base64". The id is null where the item
// has none. Pure.
std::string ResultLine(const ResultMark& mark, const InvocationResult& result);
// The same of an item that has no result: {"i","id","status","error_type":"NoResult","error_message"}; the status is
// null where it is not known. Pure.
std::string StatusLine(std::int64_t index, const std::string& item_id, std::optional<ItemStatus> status);

// Takes lines in the order in which results lie on Kafka, and gives them in the order of their indices. What comes too
// early is held in memory up to `window_bytes`, and beyond that in a file without a name in the folder for temporary
// files; that takes 8 bytes for each item of the batch.
class OrderedLines {
 public:
  struct Order {
    std::int64_t total = 0;
    // Whether Put will be called for the index.
    std::function<bool(std::int64_t index)> comes;
    // The line of one for which it will not; empty: none.
    std::function<std::string(std::int64_t index)> otherwise;
    std::function<Result<void>(std::int64_t index, std::string_view line)> give;
  };
  OrderedLines(Order order, std::size_t window_bytes) : order_(std::move(order)), window_bytes_(window_bytes) {}

  // Each index once. kInvalid: there is no room for the file; or what `give` says.
  Result<void> Put(std::int64_t index, std::string line);
  // After the last one. kInternal: one that should have come did not; kInvalid as above.
  Result<void> Finish();

 private:
  Result<void> Advance();
  Result<void> Spool();
  Result<std::string> Unspool(std::int64_t place);

  Order order_;
  const std::size_t window_bytes_;
  std::int64_t next_ = 0;
  std::map<std::int64_t, std::string> held_;
  std::size_t held_bytes_ = 0;
  Fd spool_;
  std::int64_t spool_end_ = 0;
  std::vector<std::int64_t> places_;  // in the spool, by index; -1: not there. Empty: nothing was spooled yet
};

}  // namespace hearth::tool
