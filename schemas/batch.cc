#include "schemas/batch.h"

#include <charconv>
#include <numeric>

#include "schemas/limits.h"
#include "schemas/request.h"

namespace hearth {
namespace {

std::unexpected<Error> WrongBatchKey(std::string_view key, std::string_view what) {
  constexpr std::size_t kMostShown = 300;
  return Fail(Code::kInvalid, "batch key '" + std::string(key.substr(0, kMostShown)) + "': " + std::string(what));
}

constexpr std::string_view kSpecPart = "spec";
constexpr std::string_view kAcceptedPart = "accepted";
constexpr std::string_view kWantPart = "want/";

}  // namespace

bool IsBatchId(std::string_view text) {
  return text.size() <= kMaxBatchIdBytes && IsIdentifier(text);
}

std::string FormatBatchRef(const BatchRef& ref) {
  return ref.user.str() + "/" + ref.batch.str();
}

Result<BatchRef> ParseBatchRef(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return WrongBatchKey(text, "it must be USER/BATCH");
  BatchRef ref{UserId(text.substr(0, slash)), BatchId(text.substr(slash + 1))};
  if (!IsIdentifier(ref.user.value)) {
    return WrongBatchKey(text, "the user must be 1 to " + std::to_string(kMaxIdentifierBytes) + " of [A-Za-z0-9._-]");
  }
  if (!IsBatchId(ref.batch.value)) {
    return WrongBatchKey(text, "the batch must be 1 to " + std::to_string(kMaxBatchIdBytes) + " of [A-Za-z0-9._-]");
  }
  return ref;
}

InvocationId ItemInvocationId(const BatchId& batch, std::int64_t index, std::int32_t generation) {
  std::string id = batch.str() + "." + std::to_string(index);
  if (generation > 0) id += ".g" + std::to_string(generation);
  return InvocationId(std::move(id));
}

std::optional<ItemId> ParseItemInvocationId(std::string_view id) {
  const auto take = [&id](std::string_view before, auto& number) {
    const auto at = id.rfind(before);
    if (at == std::string_view::npos) return false;
    const std::string_view digits = id.substr(at + before.size());
    auto value = number;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (read.ec != std::errc() || read.ptr != digits.data() + digits.size() || value < 0) return false;
    number = value;
    id = id.substr(0, at);
    return true;
  };
  ItemId item;
  (void)take(".g", item.generation);
  if (!take(".", item.index)) return std::nullopt;
  item.batch = BatchId(std::string(id));
  return IsBatchId(id) ? std::optional(item) : std::nullopt;
}

std::string FormatBatchKey(const BatchKey& key) {
  std::string text = FormatBatchRef(key.ref) + "/";
  switch (key.kind) {
    case BatchKey::Kind::kSpec: text += kSpecPart; break;
    case BatchKey::Kind::kAccepted: text += kAcceptedPart; break;
    case BatchKey::Kind::kWant:
      text.append(kWantPart).append(kWantFields.at(static_cast<std::size_t>(key.field)).name);
      break;
  }
  return text;
}

Result<BatchKey> ParseBatchKey(std::string_view text) {
  const auto slash = text.find('/');
  const auto end = slash == std::string_view::npos ? slash : text.find('/', slash + 1);
  if (end == std::string_view::npos) return WrongBatchKey(text, "it must be USER/BATCH/spec or USER/BATCH/want/FIELD");
  auto ref = ParseBatchRef(text.substr(0, end));
  if (!ref) return std::unexpected(ref.error());
  BatchKey key{std::move(*ref)};
  std::string_view rest = text.substr(end + 1);
  if (rest == kSpecPart) return key;
  if (rest == kAcceptedPart) {
    key.kind = BatchKey::Kind::kAccepted;
    return key;
  }
  if (!rest.starts_with(kWantPart)) return WrongBatchKey(text, "the third part must be spec, want or accepted");
  rest.remove_prefix(kWantPart.size());
  const auto row = FindByName(kWantFields, "want", rest);
  if (!row) return WrongBatchKey(text, row.error().message);
  key.kind = BatchKey::Kind::kWant;
  key.field = (*row)->field;
  return key;
}

Result<ItemStatus> ParseItemStatus(std::string_view name) {
  const auto row = FindByName(kItemStatuses, "status", name);
  if (!row) return std::unexpected(row.error());
  return (*row)->status;
}

std::int64_t ItemCounts::Total() const {
  return std::accumulate(of.begin(), of.end(), std::int64_t{0});
}

std::int64_t ItemCounts::Failed() const {
  std::int64_t failed = 0;
  for (const ItemStatusRow& row : kItemStatuses) failed += row.failed ? (*this)[row.status] : 0;
  return failed;
}

ItemCounts& ItemCounts::operator+=(const ItemCounts& other) {
  for (std::size_t i = 0; i < of.size(); ++i) of.at(i) += other.of.at(i);
  return *this;
}

StatusSelection StatusSelection::Default() {
  StatusSelection selection;
  for (const ItemStatusRow& row : kItemStatuses) {
    if (row.redriven) selection.Add(row.status);
  }
  return selection;
}

}  // namespace hearth
