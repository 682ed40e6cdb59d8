#include "dispatcher/core/ledger_page.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <system_error>

#include "dispatcher/core/check.h"
#include "dispatcher/core/varint.h"

namespace hearth::dispatcher {
namespace {

constexpr char kPageVersion = 1;
constexpr char kRunsForm = 0;
constexpr char kBitsForm = 1;
constexpr std::size_t kMaxTopicBytes = 249;
constexpr std::size_t kNumbers = 4;

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

std::string PageHead(char form) {
  return {kPageVersion, form};
}

// Nothing where it is not shorter than `limit`.
std::string WriteRuns(const std::vector<LedgerRange>& complete, std::size_t limit) {
  std::string out = PageHead(kRunsForm);
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

std::string PageKeyText(const PageKey& key) {
  std::string text = key.partition.topic;
  for (const std::int64_t number : {std::int64_t{key.partition.partition}, key.generation, key.page, key.epoch}) {
    text.append("/").append(std::to_string(number));
  }
  return text;
}

Result<PageKey> ParsePageKey(std::string_view text) {
  constexpr std::array<std::int64_t, kNumbers> kMost = {std::numeric_limits<std::int32_t>::max(), kMaxVarint, kMaxPage,
                                                        kMaxLedgerEpoch};
  if (text.size() > kMaxPageKeyBytes) return BrokenKey("too long");
  auto slash = text.find('/');
  if (slash == std::string_view::npos || !IsTopicName(text.substr(0, slash))) return BrokenKey("topic");
  PageKey key;
  key.partition.topic = text.substr(0, slash);
  std::array<std::int64_t, kNumbers> numbers{};
  for (std::size_t i = 0; i < kNumbers; ++i) {
    if (slash == std::string_view::npos) return BrokenKey("a number is missing");
    text.remove_prefix(slash + 1);
    slash = text.find('/');
    if (!ParseNumber(text.substr(0, slash), kMost.at(i), numbers.at(i)))
      return BrokenKey("no number within its bounds");
  }
  if (slash != std::string_view::npos) return BrokenKey("more than its parts");
  key.partition.partition = static_cast<std::int32_t>(numbers[0]);
  key.generation = numbers[1];
  key.page = numbers[2];
  key.epoch = numbers[3];
  return key;
}

std::string EncodeLedgerPage(const std::vector<LedgerRange>& complete) {
  CheckRuns(complete);
  const std::int64_t end = complete.empty() ? 0 : complete.back().start + complete.back().length;
  const auto bytes = static_cast<std::size_t>((end + 7) / 8);
  constexpr std::size_t kHead = 2;
  // An empty page is three bytes of runs; two would be bits, but it has none to end with.
  std::string runs = WriteRuns(complete, bytes == 0 ? kMaxLedgerPageBytes : kHead + bytes + 1);
  return runs.empty() ? PageHead(kBitsForm) + BitsOf(complete, end) : runs;
}

Result<std::vector<LedgerRange>> DecodeLedgerPage(std::string_view bytes) {
  if (bytes.size() > kMaxLedgerPageBytes) return BrokenPage("too long");
  VarintCursor cursor(bytes);
  char version = 0;
  char form = 0;
  if (!cursor.Byte(version) || version != kPageVersion) return BrokenPage("unknown version");
  if (!cursor.Byte(form) || (form != kRunsForm && form != kBitsForm)) return BrokenPage("unknown form");
  std::vector<LedgerRange> complete;
  if (form == kBitsForm) {
    complete = RangesOf(cursor.rest());
  } else if (const char* wrong = ReadRanges(cursor, kPageOffsets, complete); wrong != nullptr) {
    return BrokenPage(wrong);
  }
  if (EncodeLedgerPage(complete) != bytes) return BrokenPage("not the shortest writing");
  return complete;
}

}  // namespace hearth::dispatcher
