// A Kafka record as plain data, in either direction.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hearth {

struct Header {
  std::string name;
  std::string value;
  friend bool operator==(const Header&, const Header&) = default;
};

struct PartitionId {
  std::string topic;
  std::int32_t partition = 0;
  friend auto operator<=>(const PartitionId&, const PartitionId&) = default;
};

// What a consumer received. Offsets count within the partition; the timestamp is Kafka's, ms since the epoch.
struct Record {
  PartitionId partition;
  std::int64_t offset = 0;
  std::int64_t timestamp_ms = 0;
  std::string key;
  std::string value;
  std::vector<Header> headers;
};

// What a producer sends.
struct OutRecord {
  std::string topic;
  std::string key;
  std::string value;
  std::vector<Header> headers;
  friend bool operator==(const OutRecord&, const OutRecord&) = default;
};

}  // namespace hearth
