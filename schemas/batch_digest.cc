#include "schemas/batch_digest.h"

namespace hearth {
namespace {

void AddText(Sha256& sha, std::string_view text) {
  sha.Update(std::to_string(text.size()) + ":");
  sha.Update(text);
  sha.Update(",");
}

void BeginDigest(Sha256& sha, const FunctionName& function, std::string_view kind) {
  AddText(sha, "hearth-batch-1");
  AddText(sha, function.str());
  AddText(sha, kind);
}

}  // namespace

ItemsDigest::ItemsDigest(const FunctionName& function) {
  BeginDigest(sha_, function, "items");
}

void ItemsDigest::Add(const BatchItem& item) {
  AddText(sha_, item.payload);
  AddText(sha_, item.content_type);
  AddText(sha_, item.item_id);
  AddText(sha_, item.order_key);
  AddText(sha_, std::to_string(item.timeout_ms));
}

std::string DigestOf(const BatchSpec& spec) {
  if (const auto* list = std::get_if<InlineItems>(&spec.items)) {
    ItemsDigest digest(spec.function);
    BatchItem item;
    item.content_type = std::string(kInlineContentType);
    for (const std::string& payload : list->payloads) {
      item.payload = payload;
      digest.Add(item);
    }
    return digest.FinishHex();
  }
  Sha256 sha;
  if (const auto* stored = std::get_if<StoredItems>(&spec.items)) {
    BeginDigest(sha, spec.function, "ranges");
    AddText(sha, stored->topic);
    AddText(sha, std::to_string(spec.total));
    for (const OffsetRange& range : stored->ranges) {
      AddText(sha,
              std::to_string(range.partition) + " " + std::to_string(range.first) + " " + std::to_string(range.last));
    }
  } else {
    BeginDigest(sha, spec.function, "count");
    AddText(sha, std::to_string(spec.total));
  }
  return sha.FinishHex();
}

}  // namespace hearth
