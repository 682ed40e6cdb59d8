// A member of a consumer group at a real broker, for tests.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/kafka/consumer.h"
#include "common/loop/loop.h"

namespace hearth::kafka {

// A member of a group, and all that it was told.
struct Member {
  Member(Loop& loop, const std::string& bootstrap, const std::string& id, const std::string& group,
         const std::string& topic)
      : Member(loop, Membership{bootstrap, id, group, {topic}}) {}
  // Where reading begins: the callback's own answer, or what was committed.
  using Begin = std::function<std::int64_t(const PartitionId&, std::int64_t committed, const std::string& metadata)>;
  Member(Loop& loop, Membership membership, Begin begin = {}) {
    GroupConsumer::Callbacks callbacks;
    if (begin) callbacks.begin = std::move(begin);
    callbacks.assigned = [this](std::vector<Assigned> given) {
      ++assignments;
      for (auto& each : given) assigned[each.partition] = each;
    };
    callbacks.revoked = [this](std::vector<PartitionId> taken, bool was_lost) {
      lost = was_lost;
      ++revocations;
      if (on_revoked) on_revoked(taken);
      for (const auto& each : taken) assigned.erase(each);
    };
    callbacks.records = [this](const std::vector<std::shared_ptr<const Record>>& records) {
      most_told = std::max(most_told, records.size());
      for (const auto& record : records) offsets[record->partition].push_back(record->offset);
    };
    callbacks.caught_up = [this](const PartitionId& partition, std::int64_t next) { ends[partition] = next; };
    callbacks.log_start_moved = [this](const PartitionId& partition, std::int64_t start) { starts[partition] = start; };
    callbacks.counted = [this](const PartitionCounts& told) { counts = told; };
    callbacks.alarm = [this](const std::string& what) { alarms.push_back(what); };
    callbacks.ended = [this](const std::string& why) { ended = why; };
    auto created = GroupConsumer::Create(loop, std::move(membership), std::move(callbacks));
    if (!created) {  // the settings are the test's own
      std::fprintf(stderr, "%s\n", created.error().message.c_str());
      std::abort();
    }
    consumer = std::move(*created);
  }

  [[nodiscard]] Result<void> CommitNow(const PartitionId& partition, std::int64_t offset, const std::string& metadata) {
    return consumer->CommitNow({{partition, offset, metadata}}).front();
  }

  std::map<PartitionId, Assigned> assigned;
  std::map<PartitionId, std::vector<std::int64_t>> offsets;
  std::size_t most_told = 0;                   // records in one call
  std::map<PartitionId, std::int64_t> ends;    // of CaughtUp
  std::map<PartitionId, std::int64_t> starts;  // of LogStartMoved
  std::vector<std::string> alarms;
  PartitionCounts counts;
  std::function<void(const std::vector<PartitionId>&)> on_revoked;
  std::string ended;
  int assignments = 0;
  int revocations = 0;
  bool lost = false;
  std::unique_ptr<GroupConsumer> consumer;
};

}  // namespace hearth::kafka
