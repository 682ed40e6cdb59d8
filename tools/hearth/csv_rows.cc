#include "tools/hearth/csv_rows.h"

#include <csv.h>
#include <fmt/format.h>

#include <new>
#include <utility>

namespace hearth::tool {
namespace {

void FreeParser(csv_parser* parser) {
  csv_free(parser);
  delete parser;
}

// A field is taken as it stands: spaces around it belong to it.
int NothingIsSpace(unsigned char) {
  return 0;
}

csv_parser* NewParser() {
  auto* const parser = new csv_parser;
  if (csv_init(parser, CSV_STRICT | CSV_STRICT_FINI) != 0) throw std::bad_alloc();
  csv_set_space_func(parser, NothingIsSpace);
  return parser;
}

}  // namespace

CsvRows::CsvRows(std::size_t most) : most_(most), parser_(NewParser(), FreeParser) {}

void CsvRows::TakeField(void* bytes, std::size_t size, void* filled) {
  auto& row = static_cast<Filled*>(filled)->row;
  row.fields.emplace_back(static_cast<const char*>(bytes), size);
}

void CsvRows::TakeRow(int, void* filled) {
  auto& all = *static_cast<Filled*>(filled);
  all.rows.push_back(std::exchange(all.row, {}));
  all.row.line = all.line;  // should another one begin in the same line
}

Result<void> CsvRows::Feed(LineReader& lines, const std::string& line) {
  filled_.line = lines.number();
  const std::size_t rows = filled_.rows.size();
  if (bytes_ == 0) filled_.row.line = lines.number();
  const std::size_t parsed = csv_parse(parser_.get(), line.data(), line.size(), TakeField, TakeRow, &filled_);
  if (parsed != line.size()) {
    return lines.FailAt(
        lines.number(), Code::kInvalid,
        fmt::format("a quote stands inside a field, or text behind a closing quote, at byte {}", parsed + 1));
  }
  const bool between_rows = bytes_ == 0 && line.find_first_not_of("\r\n") == std::string::npos;
  bytes_ = filled_.rows.size() > rows || between_rows ? 0 : bytes_ + line.size();
  return {};
}

Result<void> CsvRows::Finish(LineReader& lines) {
  at_end_ = true;
  if (csv_fini(parser_.get(), TakeField, TakeRow, &filled_) == 0) return {};
  return lines.FailAt(filled_.row.line, Code::kInvalid, "a quote is opened and never closed");
}

Result<std::optional<CsvRow>> CsvRows::Next(LineReader& lines) {
  std::string line;
  while (filled_.rows.empty()) {
    if (at_end_) return std::nullopt;
    const bool inside = bytes_ > 0;
    const auto more = lines.Next(line, most_);
    if (!more) return std::unexpected(more.error());
    if (*more && lines.had_end()) line += '\n';
    if (*more && inside && bytes_ + line.size() > most_) {
      return lines.FailAt(filled_.row.line, Code::kExhausted,
                          fmt::format("the row has more than {} bytes; is a quote left open?", most_));
    }
    if (auto done = *more ? Feed(lines, line) : Finish(lines); !done) return std::unexpected(done.error());
  }
  CsvRow row = std::move(filled_.rows.front());
  filled_.rows.pop_front();
  return row;
}

void CsvRows::Rewind() {
  parser_.reset(NewParser());
  filled_ = {};
  bytes_ = 0;
  at_end_ = false;
}

}  // namespace hearth::tool
