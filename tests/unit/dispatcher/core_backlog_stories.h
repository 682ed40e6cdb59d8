// The language of stories about records that do not fit in memory, and about what a former owner has left.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/dispatcher/core_stories.h"

namespace hearth::dispatcher {

using Offsets = std::vector<std::int64_t>;

class BacklogStory : public CoreStory {
 protected:
  // A lane holds so many records.
  void HoldAtMost(std::int64_t records) {
    room_.lane_records = records;
    Start();
  }
  void ReceiveAll(const std::string& name, std::int64_t from, std::int64_t to, const Ask& ask = {}) {
    for (std::int64_t offset = from; offset < to; ++offset) Receive(name, offset, ask);
  }
  void WriteAll(const std::string& name, std::int64_t from, std::int64_t to, const Ask& ask = {}) {
    for (std::int64_t offset = from; offset < to; ++offset) Write(name, offset, ask);
  }
  // What was placed since the last look; its references are kept.
  Offsets Placed() {
    Offsets placed;
    for (const auto& [executor, exec] : Execs()) {
      placed.push_back(exec.ref.offset);
      running_.push_back(exec.ref.offset);
      refs_[exec.ref.offset] = exec.ref;
    }
    Forget();
    return placed;
  }
  void End(std::int64_t offset) {
    std::erase(running_, offset);
    Done("e1", refs_.at(offset));
  }
  // What runs ends, the oldest first, and what is asked for is read, until nothing is in flight. Returns the order in
  // which it was placed.
  Offsets DrainAll(std::int64_t chunk = INT64_MAX) {
    Offsets order;
    Placed();
    for (int round = 0; round < 10'000 && Numbers().in_flight > 0; ++round) {
      if (running_.empty()) {
        PassAlive(100);
      } else {
        order.push_back(running_.front());
        End(running_.front());
      }
      if (reading_) ReadBackEnds(chunk);
      Placed();
    }
    EXPECT_EQ(Numbers().in_flight, 0);
    return order;
  }
  static Offsets FromTo(std::int64_t from, std::int64_t to) {
    Offsets offsets;
    for (std::int64_t offset = from; offset < to; ++offset) offsets.push_back(offset);
    return offsets;
  }
  // The dispatcher dies, and another one comes, which has read what is committed.
  void TakeOver(const std::string& name) {
    Start();
    Connect("e1", credit_["e1"], "first");
    Forget();
    const auto [offset, metadata] = kafka_[name];
    Assign(name, offset, metadata, logs_[Part(name)].end);
    CommitEnds(name);
  }
  std::int64_t EpochOf(const std::string& name) const { return Fences(name).back().second.epoch; }
  Offsets Acknowledged() const {
    Offsets acknowledged;
    for (const auto& [executor, ack] : Sent<link::DoneAck>()) acknowledged.push_back(ack.ref.offset);
    std::ranges::sort(acknowledged);
    return acknowledged;
  }

  std::map<std::int64_t, link::AttemptRef> refs_;  // by offset: of the last attempt
  Offsets running_;                                // the oldest placement first
};

}  // namespace hearth::dispatcher
