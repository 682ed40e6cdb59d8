#include "dispatcher/core/ledger_page.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <system_error>

#include "dispatcher/core/check.h"
#include "dispatcher/core/varint.h"
#include "schemas/request.h"

namespace hearth::dispatcher {
namespace {

constexpr char kPageVersion = 1;
constexpr std::size_t kMaxTopicBytes = 249;
constexpr std::size_t kLedgerKeyParts = 5;
constexpr std::size_t kBatchKeyParts = 7;

std::unexpected<Error> BrokenKey(const char* what) {
  return Fail(Code::kInvalid, std::string("page key: ") + what);
}
std::unexpected<Error> BrokenPage(const char* what) {
  return Fail(Code::kInvalid, std::string("ledger page: ") + what);
}

bool IsTopicName(std::string_view text) {
  const auto fine = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  return !text.empty() && text.size() <= kMaxTopicBytes && std::ranges::all_of(text, fine);
}

// Only the shortest writing of a number from 0 to `most` is taken.
bool ParseNumber(std::string_view text, std::int64_t most, std::int64_t& out) {
  if (text.empty() || text.front() == '-' || (text.front() == '0' && text.size() > 1)) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && out <= most;
}

// Nothing where it is not shorter than `limit`.
std::string WriteRuns(const std::vector<LedgerRange>& complete, std::size_t limit) {
  std::string out = PageHead(PageForm::kRuns);
  AppendVarint(out, static_cast<std::int64_t>(complete.size()));
  std::int64_t end = 0;
  for (const LedgerRange& run : complete) {
    AppendRange(out, run, end);
    if (out.size() >= limit) return {};
    end = run.start + run.length;
  }
  return out;
}

void CheckRuns(const std::vector<LedgerRange>& complete) {
  std::int64_t end = -1;  // runs must not touch, but the first one may begin at 0
  for (const LedgerRange& run : complete) {
    Check(run.start > end && run.length > 0 && run.start < kPageOffsets && run.length <= kPageOffsets - run.start,
          "a page's run is out of order or beyond the page", run.start);
    end = run.start + run.length;
  }
}

}  // namespace

std::string PageHead(PageForm form) {
  return {kPageVersion, static_cast<char>(form)};
}

const char* ReadPageHead(VarintCursor& cursor, PageForm& form) {
  char version = 0;
  char byte = 0;
  if (!cursor.Byte(version) || version != kPageVersion) return "unknown version";
  if (!cursor.Byte(byte) || byte < 0 || byte > static_cast<char>(PageForm::kStatusNibbles)) return "unknown form";
  form = static_cast<PageForm>(byte);
  return nullptr;
}

std::string PageKeyText(const PageKey& key) {
  std::string text = key.partition.topic + "/" + std::to_string(key.partition.partition);
  if (!key.batch.batch.empty()) text.append("/").append(FormatBatchRef(key.batch));
  for (const std::int64_t number : {key.generation, key.page, key.epoch}) {
    text.append("/").append(std::to_string(number));
  }
  return text;
}

Result<PageKey> ParsePageKey(std::string_view text) {
  if (text.size() > kMaxPageKeyBytes) return BrokenKey("too long");
  std::array<std::string_view, kBatchKeyParts> parts;
  std::size_t count = 0;
  for (bool more = true; more; ++count) {
    if (count == parts.size()) return BrokenKey("more than its parts");
    const auto slash = text.find('/');
    parts.at(count) = text.substr(0, slash);
    more = slash != std::string_view::npos;
    if (more) text.remove_prefix(slash + 1);
  }
  if (count != kLedgerKeyParts && count != kBatchKeyParts) return BrokenKey("a part is missing");
  PageKey key;
  if (!IsTopicName(parts[0])) return BrokenKey("topic");
  key.partition.topic = parts[0];
  std::int64_t partition = 0;
  const auto* const numbers = &parts.at(count - 3);
  if (!ParseNumber(parts[1], std::numeric_limits<std::int32_t>::max(), partition) ||
      !ParseNumber(numbers[0], kMaxVarint, key.generation) || !ParseNumber(numbers[1], kMaxPage, key.page) ||
      !ParseNumber(numbers[2], kMaxLedgerEpoch, key.epoch)) {
    return BrokenKey("no number within its bounds");
  }
  key.partition.partition = static_cast<std::int32_t>(partition);
  if (count == kLedgerKeyParts) return key;
  if (!IsIdentifier(parts[2]) || !IsBatchId(parts[3])) return BrokenKey("user or batch");
  key.batch = {UserId(parts[2]), BatchId(parts[3])};
  return key;
}

std::string EncodeLedgerPage(const std::vector<LedgerRange>& complete) {
  CheckRuns(complete);
  const std::int64_t end = complete.empty() ? 0 : complete.back().start + complete.back().length;
  const auto bytes = static_cast<std::size_t>((end + 7) / 8);
  // An empty page is three bytes of runs; two would be bits, but it has none to end with.
  std::string runs = WriteRuns(complete, bytes == 0 ? kMaxLedgerPageBytes : kPageHeadBytes + bytes + 1);
  return runs.empty() ? PageHead(PageForm::kBits) + BitsOf(complete, end) : runs;
}

Result<std::vector<LedgerRange>> DecodeLedgerPage(std::string_view bytes) {
  if (bytes.size() > kMaxLedgerPageBytes) return BrokenPage("too long");
  VarintCursor cursor(bytes);
  PageForm form = PageForm::kRuns;
  if (const char* wrong = ReadPageHead(cursor, form); wrong != nullptr) return BrokenPage(wrong);
  if (form != PageForm::kRuns && form != PageForm::kBits) return BrokenPage("unknown form");
  std::vector<LedgerRange> complete;
  if (form == PageForm::kBits) {
    complete = RangesOf(cursor.rest());
  } else if (const char* wrong = ReadRanges(cursor, kPageOffsets, complete); wrong != nullptr) {
    return BrokenPage(wrong);
  }
  if (EncodeLedgerPage(complete) != bytes) return BrokenPage("not the shortest writing");
  return complete;
}

}  // namespace hearth::dispatcher
