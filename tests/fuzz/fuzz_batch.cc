// Records of batches. The first line is a key, which tells whether a spec, a wish or a state follows it. What begins
// otherwise is a record of headers and a value: an item, or the reply to one.
#include "schemas/batch.h"
#include "schemas/batch_digest.h"
#include "schemas/batch_item.h"
#include "schemas/batch_spec.h"
#include "schemas/batch_state.h"
#include "schemas/batch_want.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace hearth;

Record Received(OutRecord sent) {
  return Record{{std::move(sent.topic), 0}, 0, 0, std::move(sent.key), std::move(sent.value), std::move(sent.headers)};
}

void TrySpec(std::string_view json) {
  const auto spec = DecodeBatchSpec(json);
  if (!spec) return;
  fuzz::Must(spec->total >= 1 && spec->total <= kMaxBatchItems, "a batch has items");
  const std::string text = EncodeBatchSpec(*spec);
  fuzz::Must(text.size() <= kMaxBatchSpecBytes, "the owner can write what it has read");
  const auto again = DecodeBatchSpec(text);
  fuzz::Must(again && *again == *spec, "a spec is read as it was written");
  if (!std::holds_alternative<StoredItems>(spec->items)) {
    fuzz::Must(DigestOf(*spec) == spec->digest, "a digest is that of the items");
  }
}

void TryWant(WantField field, std::string_view json) {
  const auto want = DecodeWant(field, json);
  if (!want) return;
  fuzz::Must(FieldOf(*want) == field, "a wish is of its field");
  fuzz::Must(DecodeWant(field, EncodeWant(*want)).value() == *want, "a wish is read as it was written");
}

void TryState(std::string_view json) {
  const auto state = DecodeBatchState(json);
  if (!state) return;
  fuzz::Must(state->counts.Total() == state->total, "counts are sums");
  const std::string text = EncodeBatchState(*state);
  const auto again = DecodeBatchState(text);
  fuzz::Must(again && *again == *state, "a state is read as it was written");
  fuzz::Must(EncodeBatchState(*again) == text, "a state has one text");
}

void TryRecord(std::string_view text) {
  const Record record = fuzz::ParseRecord(text);
  if (const auto item = DecodeItem(record)) {
    const auto again = DecodeItem(Received(EncodeItem(item->place, item->item, "t")));
    fuzz::Must(again && *again == *item, "an item is read as it was written");
  }
  if (const auto mark = DecodeResultMark(record)) {
    OutRecord reply{"t", "", "", {}};
    MarkResult(*mark, reply);
    fuzz::Must(DecodeResultMark(Received(std::move(reply))).value() == *mark, "a mark is read as it was written");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Bounded bounded(5);
  const auto text = fuzz::View(data, size);
  const auto end = text.find('\n');
  const auto first = text.substr(0, end);
  const auto value = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  if (const auto key = ParseBatchKey(first)) {
    fuzz::Must(FormatBatchKey(*key) == first, "a key is written as it was read");
    key->kind == BatchKey::Kind::kWant ? TryWant(key->field, value) : TrySpec(value);
  } else if (const auto ref = ParseBatchRef(first)) {
    fuzz::Must(FormatBatchRef(*ref) == first, "a reference is written as it was read");
    TryState(value);
  } else {
    TryRecord(text);
  }
  return 0;
}
