// The order keys of one partition: of records with one user and one key, the oldest that is not complete goes first,
// and the others wait for it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "common/base/ids.h"

namespace hearth::dispatcher {

class OrderKeys {
 public:
  // An empty key is none, and its records wait for nothing.
  void Add(const UserId& user, const std::string& key, std::int64_t offset);
  // Complete. Returns the offset whose turn has come with that, if any.
  std::optional<std::int64_t> Remove(const UserId& user, const std::string& key, std::int64_t offset);
  // Whether nothing of its key comes before it.
  [[nodiscard]] bool IsHead(const UserId& user, const std::string& key, std::int64_t offset) const;

 private:
  std::map<std::pair<UserId, std::string>, std::set<std::int64_t>> keys_;  // → offsets, the first one is the head
};

}  // namespace hearth::dispatcher
