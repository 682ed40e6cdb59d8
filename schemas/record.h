// A Kafka record as plain data, in either direction.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace hearth {

struct Header {
  std::string name;
  std::string value;
  bool null = false;  // no value at all, which is not the same as an empty one
  friend bool operator==(const Header&, const Header&) = default;
};

struct PartitionId {
  std::string topic;
  std::int32_t partition = 0;
  friend auto operator<=>(const PartitionId&, const PartitionId&) = default;
};

// A time in ms since the epoch as Kafka has it, or 0 where it is not known: absent (-1), or beyond the year 9999, which
// is what microseconds taken for milliseconds look like.
constexpr std::int64_t kMaxTimeMs = 253'402'300'799'999;
constexpr std::int64_t KnownTimeMs(std::int64_t ms) {
  return ms > 0 && ms <= kMaxTimeMs ? ms : 0;
}

// What a consumer received. Offsets count within the partition.
struct Record {
  PartitionId partition;
  std::int64_t offset = 0;
  std::int64_t timestamp_ms = 0;  // see KnownTimeMs
  std::string key;
  std::string value;
  std::vector<Header> headers;
  bool null_key = false;
  bool null_value = false;
};

// Instead of a partition's number: the one that the key's hash chooses, any where there is no key.
constexpr std::int32_t kByKey = -1;

// What a producer sends.
struct OutRecord {
  std::string topic;
  std::string key;
  std::string value;
  std::vector<Header> headers;
  bool null_key = false;
  bool null_value = false;  // a tombstone in a compacted topic
  std::int32_t partition = kByKey;
  friend bool operator==(const OutRecord&, const OutRecord&) = default;
};

// On its way, and kept by whoever sends it again should it fail: one record, and no copy of it.
using SharedRecord = std::shared_ptr<const OutRecord>;
inline SharedRecord Share(OutRecord record) {
  return std::make_shared<const OutRecord>(std::move(record));
}

}  // namespace hearth
