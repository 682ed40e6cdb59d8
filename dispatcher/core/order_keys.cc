#include "dispatcher/core/order_keys.h"

namespace hearth::dispatcher {

void OrderKeys::Add(const UserId& user, const std::string& key, std::int64_t offset) {
  if (!key.empty()) keys_[{user, key}].insert(offset);
}

std::optional<std::int64_t> OrderKeys::Remove(const UserId& user, const std::string& key, std::int64_t offset) {
  if (key.empty()) return std::nullopt;
  const auto found = keys_.find({user, key});
  if (found == keys_.end()) return std::nullopt;
  auto& offsets = found->second;
  const bool was_head = *offsets.begin() == offset;
  offsets.erase(offset);
  if (offsets.empty()) {
    keys_.erase(found);
    return std::nullopt;
  }
  if (!was_head) return std::nullopt;
  return *offsets.begin();
}

bool OrderKeys::IsHead(const UserId& user, const std::string& key, std::int64_t offset) const {
  if (key.empty()) return true;
  const auto found = keys_.find({user, key});
  return found == keys_.end() || *found->second.begin() == offset;
}

}  // namespace hearth::dispatcher
