#include "tools/hearth/batch_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <tuple>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common/base/text.h"
#include "schemas/batch_digest.h"
#include "schemas/json_text.h"
#include "schemas/limits.h"
#include "schemas/request_fields.h"

namespace hearth::tool {
namespace {

constexpr std::size_t kMaxPathBytes = 4096;
// Of a line as it stands in the file: it may be longer than the payload in it, by escapes and by what is around it.
constexpr std::size_t kMaxEnvelopeBytes = 6 * kMaxPayloadBytes;
constexpr std::size_t kMaxShownBytes = 64;
constexpr std::array<std::string_view, 4> kEnvelopeFields = {"id", "in", "order_key", "timeout_ms"};

// What is kept of an id: so much of its hash that of 10⁷ no two share it, and where it stands.
struct SeenId {
  std::uint64_t low = 0;
  std::uint32_t high = 0;
  std::uint32_t line = 0;
};
static_assert(sizeof(SeenId) == 16);

SeenId Seen(const std::string& id, std::int64_t line) {
  const XXH128_hash_t hash = XXH3_128bits(id.data(), id.size());
  return {hash.low64, static_cast<std::uint32_t>(hash.high64), static_cast<std::uint32_t>(line)};
}

// The two lines of an id that stands there twice, of several the one that is repeated first.
std::optional<std::pair<std::uint32_t, std::uint32_t>> FindTwice(std::vector<SeenId>& seen) {
  std::ranges::sort(seen, {}, [](const SeenId& one) { return std::tie(one.low, one.high, one.line); });
  std::optional<std::pair<std::uint32_t, std::uint32_t>> twice;
  for (std::size_t i = 1; i < seen.size(); ++i) {
    if (seen[i].low != seen[i - 1].low || seen[i].high != seen[i - 1].high) continue;
    if (!twice || seen[i].line < twice->second) twice.emplace(seen[i - 1].line, seen[i].line);
  }
  return twice;
}

bool IsBlank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

std::string WhyNoJson(std::string_view text) {
  try {
    [[maybe_unused]] const auto value = nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    return fmt::format("no JSON, from byte {} on", error.byte);
  } catch (const nlohmann::json::exception&) {
    return "no JSON: a number in it is too large";
  }
  return fmt::format("nested deeper than {}", kMaxMsgpackDepth - 2);
}

Result<BatchItem> ItemOfEnvelope(std::string_view line) {
  const auto object = fields::ParseJsonValue(line);
  if (!object) return Fail(Code::kInvalid, WhyNoJson(line));
  if (!object->is_object()) return Fail(Code::kInvalid, "an envelope must be an object with the field 'in'");
  for (const auto& [name, value] : object->items()) {
    if (std::ranges::find(kEnvelopeFields, name) == kEnvelopeFields.end()) {
      return Fail(Code::kInvalid,
                  fmt::format("an envelope has no field '{}': there are {}",
                              EscapeControls(CutText(name, kMaxShownBytes)), fmt::join(kEnvelopeFields, ", ")));
    }
  }
  BatchItem item;
  fields::JsonFields reader(*object);
  reader.Text("id", item.item_id);
  reader.Text("order_key", item.order_key);
  reader.Integer("timeout_ms", item.timeout_ms);
  if (auto good = reader.Finish(); !good) return std::unexpected(good.error());
  const auto in = object->find("in");
  if (in == object->end()) return Fail(Code::kInvalid, "field 'in' is absent");
  item.payload = fields::DumpJson(*in);
  return item;
}

}  // namespace

BatchInput::BatchInput(LineReader lines, InputFormat format, bool envelope)
    : lines_(std::move(lines)), format_(format), envelope_(envelope), rows_(kMaxEnvelopeBytes) {}

Result<BatchInput> BatchInput::Open(const std::string& path, InputFormat format, bool envelope) {
  if (envelope && format != InputFormat::kJsonl) return Fail(Code::kInvalid, "only jsonl has an envelope");
  auto lines = LineReader::Open(path);
  if (!lines) return std::unexpected(lines.error());
  return BatchInput(std::move(*lines), format, envelope);
}

Result<bool> BatchInput::NextLine(std::string& line, bool skip_blank) {
  for (;;) {
    auto more = lines_.Next(line, kMaxEnvelopeBytes);
    line_ = lines_.number();
    if (!more || !*more) return more;
    if (skip_blank && IsBlank(line)) continue;
    if (line.ends_with('\r')) line.pop_back();
    return true;
  }
}

Result<bool> BatchInput::ReadJson(BatchItem& item) {
  std::string line;
  if (auto more = NextLine(line, true); !more || !*more) return more;
  if (envelope_) {
    auto enveloped = ItemOfEnvelope(line);
    if (!enveloped) return FailHere(enveloped.error().code, enveloped.error().message);
    item = std::move(*enveloped);
  } else if (!nlohmann::json::accept(line)) {
    return FailHere(Code::kInvalid, WhyNoJson(line));
  } else {
    item.payload = std::move(line);
  }
  item.content_type = kInlineContentType;
  return true;
}

Result<bool> BatchInput::ReadHeader() {
  auto row = rows_.Next(lines_);
  if (!row) return std::unexpected(row.error());
  if (!*row) return false;
  line_ = (*row)->line;
  columns_ = std::move((*row)->fields);
  std::set<std::string_view> names;
  for (const std::string& name : columns_) {
    if (name.empty()) return FailHere(Code::kInvalid, "a column of the header has no name");
    if (!fields::IsUtf8(name)) return FailHere(Code::kInvalid, "the header is not UTF-8");
    if (names.insert(name).second) continue;
    return FailHere(Code::kInvalid,
                    fmt::format("the header has the column '{}' twice", EscapeControls(CutText(name, kMaxShownBytes))));
  }
  return true;
}

Result<bool> BatchInput::ReadRow(BatchItem& item) {
  if (columns_.empty()) {
    if (auto header = ReadHeader(); !header || !*header) return header;
  }
  auto row = rows_.Next(lines_);
  if (!row) return std::unexpected(row.error());
  if (!*row) return false;
  line_ = (*row)->line;
  auto& values = (*row)->fields;
  if (values.size() != columns_.size()) {
    return FailHere(Code::kInvalid,
                    fmt::format("the row has {} fields; the header has {}", values.size(), columns_.size()));
  }
  nlohmann::ordered_json object;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!fields::IsUtf8(values[i])) {
      return FailHere(Code::kInvalid, fmt::format("the column '{}' is not UTF-8", EscapeControls(columns_[i])));
    }
    object[columns_[i]] = std::move(values[i]);
  }
  item.payload = object.dump();
  item.content_type = kInlineContentType;
  return true;
}

Result<bool> BatchInput::ReadPath(BatchItem& item) {
  std::string path;
  if (auto more = NextLine(path, true); !more || !*more) return more;
  const std::string shown = EscapeControls(CutText(path, kMaxShownBytes));
  if (path.size() > kMaxPathBytes) {
    return FailHere(Code::kExhausted,
                    fmt::format("the path has {} bytes; the limit is {}", path.size(), kMaxPathBytes));
  }
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    return FailHere(Code::kNotFound, fmt::format("{}: no such file", shown));
  }
  if (status.type() != std::filesystem::file_type::regular) {
    return FailHere(Code::kInvalid, fmt::format("{} is no regular file", shown));
  }
  const auto size = std::filesystem::file_size(path, error);
  if (!error && size > kMaxPayloadBytes) {
    return FailHere(Code::kExhausted, fmt::format("{} has {} bytes; the limit is {}", shown, size, kMaxPayloadBytes));
  }
  std::ifstream in(path, std::ios::binary);
  item.payload.resize(kMaxPayloadBytes + 1);
  if (in) in.read(item.payload.data(), static_cast<std::streamsize>(item.payload.size()));
  if (!in && !in.eof()) {
    return FailHere(Code::kUnavailable, fmt::format("cannot read {}: {}", shown, std::strerror(errno)));
  }
  item.payload.resize(static_cast<std::size_t>(in.gcount()));
  item.item_id = std::move(path);
  return true;
}

Result<std::optional<BatchItem>> BatchInput::Next() {
  BatchItem item;
  Result<bool> more = false;
  switch (format_) {
    case InputFormat::kJsonl: more = ReadJson(item); break;
    case InputFormat::kCsv: more = ReadRow(item); break;
    case InputFormat::kFiles: more = ReadPath(item); break;
    case InputFormat::kLines:
      more = NextLine(item.payload, false);
      item.content_type = "text/plain";
      break;
  }
  if (!more) return std::unexpected(more.error());
  if (!*more) return std::nullopt;
  if (auto good = ValidateBatchItem(item); !good) return FailHere(good.error().code, good.error().message);
  return item;
}

Result<InputSummary> BatchInput::Check(const FunctionName& function) {
  if (auto begun = Rewind(); !begun) return std::unexpected(begun.error());
  InputSummary summary;
  ItemsDigest digest(function);
  std::vector<SeenId> seen;
  for (;;) {
    const auto item = Next();
    if (!item) return std::unexpected(item.error());
    if (!*item) break;
    if (++summary.items > kMaxBatchItems) {
      return FailHere(Code::kExhausted,
                      fmt::format("more than {} items: that is the limit of a batch", kMaxBatchItems));
    }
    if (line_ > std::int64_t{UINT32_MAX}) {
      return FailHere(Code::kExhausted, fmt::format("more than {} lines", UINT32_MAX));
    }
    if (!(*item)->item_id.empty()) seen.push_back(Seen((*item)->item_id, line_));
    digest.Add(**item);
  }
  if (summary.items == 0) {
    return Fail(Code::kInvalid, lines_.name() + (columns_.empty() ? " has no items" : " has a header and no rows"));
  }
  if (const auto twice = FindTwice(seen)) {
    return lines_.FailAt(twice->second, Code::kInvalid,
                         fmt::format("its id stands in line {} too: an id names one item", twice->first));
  }
  summary.digest = digest.FinishHex();
  if (auto again = Rewind(); !again) return std::unexpected(again.error());
  return summary;
}

Result<void> BatchInput::Rewind() {
  rows_.Rewind();
  columns_.clear();
  line_ = 0;
  return lines_.Rewind();
}

}  // namespace hearth::tool
