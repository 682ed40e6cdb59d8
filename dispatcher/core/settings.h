// What the dispatcher's core is told once: its name, its topics, its bounds and time-outs.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "dispatcher/core/backlog.h"
#include "dispatcher/core/ledger_page.h"
#include "dispatcher/core/request_class.h"
#include "schemas/topics.h"

namespace hearth::dispatcher {

constexpr std::size_t kKeptSpecBytes = 1024;

struct Settings {
  DispatcherId id;
  std::map<std::string, RequestClass> request_topics;  // which topics it reads, and their class
  std::string reply_topic{TopicName(Topic::kReply)};   // where a request names none
  std::vector<std::string> reply_topics_allowed;       // exact names, or a prefix followed by '*'
  std::vector<std::string> realtime_users;             // who is granted the class rt; written alike
  std::set<std::string, std::less<>> own_topics;       // no reply goes there, whatever is allowed
  std::string batches_topic{TopicName(Topic::kBatches)};
  std::string batch_items_topic{TopicName(Topic::kBatchItems)};
  std::string batch_state_topic{TopicName(Topic::kBatchState)};
  std::string batch_results_topic{TopicName(Topic::kBatchResults)};
  std::vector<std::string> batch_replay_topics;  // "USER:TOPIC": what may be a batch's source (schemas/batch_policy.h)
  std::string dead_letter_topic{TopicName(Topic::kDeadLetter)};
  std::string undeliverable_topic{TopicName(Topic::kUndeliverable)};  // where a reply goes whose topic refused it
  std::int32_t user_concurrency = 64;                                 // attempts of one user at once
  Room room;                                                          // what is held in memory of a partition
  std::int64_t commit_interval_ms = 200;
  std::size_t map_bytes = kMaxLedgerMapBytes;     // of a commit's metadata
  std::int64_t wide_offsets = kMaxWindowOffsets;  // held open where ledger pages cannot be written
  std::int64_t page_offsets = kPageOffsets;       // that one ledger page tells of
  std::size_t kept_spec_bytes = kKeptSpecBytes;   // a larger spec's items are let go while its batch does not run
  std::int64_t retry_base_ms = 1000;              // back-off of a failed try: base × 4^(n-1), jittered
  std::int64_t fence_settle_ms = 1000;            // wait that long for an executor to connect after an assignment
  std::int64_t drain_ms = 500;                    // on revoke
  std::int64_t drain_deadline_ms = 30'000;        // on DrainRequested: then the rest is left to the next owner
  std::int64_t unknown_function_grace_ms = 1000;  // wait that long for the registry before refusing
  std::uint64_t seed = 0;                         // of the jitter
  bool detailed_traces = true;                    // of usual steps too; else these hold what is counted only
};

}  // namespace hearth::dispatcher
