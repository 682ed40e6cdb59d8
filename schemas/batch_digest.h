// The digest of a batch's items. It tells whether two specs under one id mean the same batch: then the second client
// attaches to what the first one submitted, else it is refused. Options and the function's version are not part of it,
// so the same command after a deployment, or with another concurrency, attaches.
//
// It is the SHA-256, in lower-case hex, of these texts, each written as "LENGTH:TEXT," with its length in decimal:
//   "hearth-batch-1", the function's name, and then
//   "items", and for each item in the order of the index: payload, content type, id, order key, time-out in ms as
//     decimal ("0" where there is none)
//   or "count", and the number of items
//   or "ranges", the topic ("" for hearth.batch.items), the total, and for each range "PARTITION FIRST LAST"
// A client that writes items itself gives the digest of its items, which it can tell again from its input alone. Where
// a spec has none, it is that of the ranges. Items in the spec have the content type application/json and nothing else.
//
// Plain data, one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/sha256.h"
#include "schemas/batch_item.h"
#include "schemas/batch_spec.h"

namespace hearth {

// Of items that pass one after the other.
class ItemsDigest {
 public:
  explicit ItemsDigest(const FunctionName& function);
  void Add(const BatchItem& item);
  // Call once, last.
  std::string FinishHex() { return sha_.FinishHex(); }

 private:
  Sha256 sha_;
};

// What follows from the spec itself: of items in it, of a count, and of ranges where no other is given.
std::string DigestOf(const BatchSpec& spec);

}  // namespace hearth
