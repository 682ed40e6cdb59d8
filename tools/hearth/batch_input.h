// The items of `hearth batch submit FILE`, one after the other: a file of 10⁷ of them does not go into memory. The
// whole file is checked before anything of it is sent, so it is read twice. Not thread-safe.
//
//   jsonl  any JSON value a line, which is the payload as it stands. With an envelope: {"in": payload} and, where they
//          are meant, "id", "order_key" and "timeout_ms". Blank lines are none
//   csv    a header, and a row for each item: an object with the header's names, and texts as values
//   lines  a line is the payload, whatever is in it
//   files  a line is the path of a file, whose content is the payload, and is the item's id. Blank lines are none
//
// Errors are "FILE:LINE: what is wrong": kInvalid, kNotFound (a file that is not there) or kExhausted (a limit).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "schemas/batch_item.h"
#include "schemas/table.h"
#include "tools/hearth/csv_rows.h"
#include "tools/hearth/line_reader.h"

namespace hearth::tool {

enum class InputFormat : std::uint8_t { kJsonl, kCsv, kLines, kFiles };
struct InputFormatRow {
  InputFormat format;
  std::string_view name;
};
inline constexpr std::array kInputFormats = {
    InputFormatRow{InputFormat::kJsonl, "jsonl"},
    InputFormatRow{InputFormat::kCsv, "csv"},
    InputFormatRow{InputFormat::kLines, "lines"},
    InputFormatRow{InputFormat::kFiles, "files"},
};
static_assert(RowsInOrder(kInputFormats, &InputFormatRow::format));

struct InputSummary {
  std::int64_t items = 0;
  std::string digest;  // schemas/batch_digest.h
};

class BatchInput {
 public:
  // `path`: "-" is the standard input. kInvalid: an envelope in a format that has none.
  static Result<BatchInput> Open(const std::string& path, InputFormat format, bool envelope);

  // Reads all of it, and begins anew. There is at least one item and at most kMaxBatchItems, each is valid, and no two
  // have the same id: such an error names both lines. Of ids it keeps 16 bytes each.
  Result<InputSummary> Check(const FunctionName& function);

  // The next item; nothing after the last one. Whoever sends what it reads adds it to a digest of his own: another one
  // than Check's means that the file was changed in between.
  Result<std::optional<BatchItem>> Next();
  [[nodiscard]] std::int64_t line() const { return line_; }  // where the last item begins
  Result<void> Rewind();

 private:
  BatchInput(LineReader lines, InputFormat format, bool envelope);
  // True: there is one.
  Result<bool> ReadJson(BatchItem& item);
  Result<bool> ReadRow(BatchItem& item);
  Result<bool> ReadPath(BatchItem& item);
  Result<bool> ReadHeader();
  Result<bool> NextLine(std::string& line, bool skip_blank);
  [[nodiscard]] std::unexpected<Error> FailHere(Code code, std::string_view message) const {
    return lines_.FailAt(line_, code, message);
  }

  LineReader lines_;
  InputFormat format_;
  bool envelope_;
  CsvRows rows_;
  std::vector<std::string> columns_;  // of the header
  std::int64_t line_ = 0;
};

}  // namespace hearth::tool
