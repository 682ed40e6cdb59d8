#include "dispatcher/core/status_page.h"

#include <array>
#include <utility>

#include "dispatcher/core/check.h"
#include "dispatcher/core/varint.h"
#include "schemas/limits.h"

namespace hearth::dispatcher {
namespace {

constexpr unsigned kLowNibble = 0x0f;
constexpr unsigned kNibbleBits = 4;

std::unexpected<Error> BrokenStatuses(const char* what) {
  return Fail(Code::kInvalid, std::string("status page: ") + what);
}

}  // namespace

StatusPage::StatusPage(std::int64_t items) : items_(items) {
  Check(items > 0 && items <= kPageItems, "a page has no such number of items", items);
  nibbles_.assign(static_cast<std::size_t>((items + 1) / 2), '\0');
}

ItemStatus StatusPage::Of(std::int64_t item) const {
  Check(item >= 0 && item < items_, "an item beyond its page", item);
  const auto byte = static_cast<unsigned char>(nibbles_[static_cast<std::size_t>(item / 2)]);
  return static_cast<ItemStatus>(item % 2 == 0 ? byte & kLowNibble : byte >> kNibbleBits);
}

void StatusPage::Put(std::int64_t item, ItemStatus status) {
  auto& byte = nibbles_[static_cast<std::size_t>(item / 2)];
  const auto bits = static_cast<unsigned>(status);
  const auto old = static_cast<unsigned char>(byte);
  byte = static_cast<char>(item % 2 == 0 ? (old & ~kLowNibble) | bits : (old & kLowNibble) | bits << kNibbleBits);
}

bool StatusPage::End(std::int64_t item, ItemStatus status) {
  Check(status != ItemStatus::kPending, "an item cannot end as pending", item);
  if (Of(item) != ItemStatus::kPending) return false;
  Put(item, status);
  tries_.erase(item);
  return true;
}

void StatusPage::SetTries(std::int64_t item, const ItemTries& tries) {
  Check(Of(item) == ItemStatus::kPending, "an item that has ended is not tried again", item);
  Check(tries.failed >= 0 && tries.failed <= kMaxAttempts, "an item cannot have failed so often", tries.failed);
  Check(tries.infrastructure_failures >= 0 && tries.infrastructure_failures <= kMaxInfrastructureFailures,
        "an item cannot have lost so many machines", tries.infrastructure_failures);
  if (tries == ItemTries()) {
    tries_.erase(item);
  } else {
    tries_[item] = tries;
  }
}

ItemTries StatusPage::TriesOf(std::int64_t item) const {
  const auto found = tries_.find(item);
  return found == tries_.end() ? ItemTries() : found->second;
}

ItemCounts StatusPage::Counts() const {
  std::array<std::int64_t, 256> bytes{};
  for (const char byte : nibbles_) ++bytes.at(static_cast<unsigned char>(byte));
  ItemCounts counts;
  for (unsigned byte = 0; byte < bytes.size(); ++byte) {
    if (bytes.at(byte) == 0) continue;
    counts.of.at(byte & kLowNibble) += bytes.at(byte);
    counts.of.at(byte >> kNibbleBits) += bytes.at(byte);
  }
  counts[ItemStatus::kPending] -= items_ % 2;  // the half of a byte that is no item
  return counts;
}

void StatusPage::Redrive(const StatusSelection& selection) {
  for (std::int64_t item = 0; item < items_; ++item) {
    if (selection.Has(Of(item))) Put(item, ItemStatus::kPending);
  }
  tries_.clear();
}

std::int64_t StatusPage::Spoken() const {
  const auto last = nibbles_.find_last_not_of('\0');
  if (last == std::string::npos) return 0;
  const auto item = static_cast<std::int64_t>(last) * 2;
  const bool second = (static_cast<unsigned char>(nibbles_[last]) >> kNibbleBits) != 0;
  return item + (second ? 2 : 1);
}

// Nothing where they are longer than the nibbles.
std::string StatusPage::Runs(std::int64_t spoken) const {
  const auto most = static_cast<std::size_t>((spoken + 1) / 2);
  std::string runs;
  for (std::int64_t start = 0; start < spoken;) {
    const ItemStatus status = Of(start);
    std::int64_t end = start + 1;
    while (end < spoken && Of(end) == status) ++end;
    AppendVarint(runs, ((end - start) << kNibbleBits) | static_cast<std::int64_t>(status));
    if (runs.size() > most) return {};
    start = end;
  }
  return runs;
}

std::string StatusPage::Encode() const {
  Check(tries_.size() <= kMaxItemsInBackOff, "more items wait to be tried again than a page tells",
        static_cast<std::int64_t>(tries_.size()));
  const std::int64_t spoken = Spoken();
  std::string statuses = Runs(spoken);
  const bool as_runs = !statuses.empty() || spoken == 0;
  if (!as_runs) statuses = nibbles_.substr(0, static_cast<std::size_t>((spoken + 1) / 2));
  std::string out = PageHead(as_runs ? PageForm::kStatusRuns : PageForm::kStatusNibbles);
  AppendVarint(out, static_cast<std::int64_t>(statuses.size()));
  out += statuses;
  AppendVarint(out, static_cast<std::int64_t>(tries_.size()));
  std::int64_t next = 0;
  for (const auto& [item, tries] : tries_) {
    AppendVarint(out, item - next);
    AppendVarint(out, tries.failed);
    AppendVarint(out, tries.infrastructure_failures);
    next = item + 1;
  }
  return out;
}

const char* StatusPage::ReadRuns(std::string_view bytes) {
  VarintCursor cursor(bytes);
  std::int64_t item = 0;
  while (!cursor.rest().empty()) {
    std::int64_t run = 0;
    if (!cursor.Varint(run)) return "run cut short";
    const std::int64_t length = run >> kNibbleBits;
    const std::int64_t status = run & kLowNibble;
    if (status >= static_cast<std::int64_t>(kItemStatuses.size())) return "unknown status";
    if (length == 0 || length > items_ - item) return "empty run, or one beyond the page";
    for (const std::int64_t end = item + length; item < end; ++item) Put(item, static_cast<ItemStatus>(status));
  }
  return nullptr;
}

const char* StatusPage::ReadNibbles(std::string_view bytes) {
  if (bytes.size() > nibbles_.size()) return "statuses beyond the page";
  nibbles_.replace(0, bytes.size(), bytes);
  const bool spills = items_ % 2 != 0 && static_cast<unsigned char>(nibbles_.back()) >> kNibbleBits != 0;
  if (spills) return "statuses beyond the page";
  for (const char byte : bytes) {
    const auto both = static_cast<unsigned char>(byte);
    if ((both & kLowNibble) >= kItemStatuses.size() || both >> kNibbleBits >= kItemStatuses.size()) {
      return "unknown status";
    }
  }
  return nullptr;
}

const char* StatusPage::ReadTries(VarintCursor& cursor) {
  std::int64_t count = 0;
  if (!cursor.Varint(count) || count > static_cast<std::int64_t>(kMaxItemsInBackOff)) return "count of tries";
  std::int64_t next = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t gap = 0;
    std::int64_t failed = 0;
    std::int64_t infrastructure_failures = 0;
    if (!cursor.Varint(gap) || !cursor.Varint(failed) || !cursor.Varint(infrastructure_failures))
      return "tries cut short";
    if (gap >= items_ - next) return "tries beyond the page";
    const bool possible = failed <= kMaxAttempts && infrastructure_failures <= kMaxInfrastructureFailures &&
                          failed + infrastructure_failures > 0;
    if (!possible) return "no such number of tries";
    const std::int64_t item = next + gap;
    if (Of(item) != ItemStatus::kPending) return "tries of an item that has ended";
    tries_.emplace_hint(
        tries_.end(), item,
        ItemTries{static_cast<std::int32_t>(failed), static_cast<std::int32_t>(infrastructure_failures)});
    next = item + 1;
  }
  return cursor.rest().empty() ? nullptr : "bytes left over";
}

Result<StatusPage> StatusPage::Decode(std::string_view bytes, std::int64_t items) {
  if (bytes.size() > kMaxStatusPageBytes) return BrokenStatuses("too long");
  VarintCursor head(bytes);
  PageForm form = PageForm::kStatusRuns;
  if (const char* wrong = ReadPageHead(head, form); wrong != nullptr) return BrokenStatuses(wrong);
  if (form != PageForm::kStatusRuns && form != PageForm::kStatusNibbles) return BrokenStatuses("unknown form");
  std::int64_t size = 0;
  if (!head.Varint(size) || static_cast<std::size_t>(size) > head.rest().size()) return BrokenStatuses("size");
  const std::string_view statuses = head.rest().substr(0, static_cast<std::size_t>(size));
  VarintCursor tries(head.rest().substr(statuses.size()));
  StatusPage page(items);
  const char* wrong = form == PageForm::kStatusRuns ? page.ReadRuns(statuses) : page.ReadNibbles(statuses);
  if (wrong == nullptr) wrong = page.ReadTries(tries);
  if (wrong != nullptr) return BrokenStatuses(wrong);
  if (page.Encode() != bytes) return BrokenStatuses("not the shortest writing");
  return page;
}

}  // namespace hearth::dispatcher
