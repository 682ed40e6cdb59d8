// The rows of a CSV file as RFC 4180 has it: commas, quotes that are doubled inside quotes, fields over several lines.
// Blank lines are no rows. libcsv does the work, line by line, so that every row knows where it begins. Not
// thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "tools/hearth/line_reader.h"

struct csv_parser;  // NOLINT(readability-identifier-naming): libcsv's

namespace hearth::tool {

struct CsvRow {
  std::vector<std::string> fields;
  std::int64_t line = 0;  // the first of its lines
};

class CsvRows {
 public:
  // `most`: bytes of a row as it stands in the file.
  explicit CsvRows(std::size_t most);

  // The next row; nothing after the last one. kInvalid: a quote that stands where none may, or is never closed;
  // kExhausted: a row is too long. Both name the line.
  Result<std::optional<CsvRow>> Next(LineReader& lines);
  // The file is read from its start again.
  void Rewind();

 private:
  // What libcsv is told to fill.
  struct Filled {
    CsvRow row;
    std::deque<CsvRow> rows;
    std::int64_t line = 0;
  };
  static void TakeField(void* bytes, std::size_t size, void* filled);
  static void TakeRow(int end, void* filled);
  Result<void> Feed(LineReader& lines, const std::string& line);
  Result<void> Finish(LineReader& lines);

  const std::size_t most_;
  std::unique_ptr<csv_parser, void (*)(csv_parser*)> parser_;
  Filled filled_;
  std::size_t bytes_ = 0;  // of the row that is being read
  bool at_end_ = false;
};

}  // namespace hearth::tool
