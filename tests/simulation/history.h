// What really happened in a run, append-only, and the verdicts over it. Knows nothing of the simulator: the same
// checker judges any run that can be told as a History.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/simulation/history_batches.h"

namespace hearth::simulation {

struct Sent {
  std::string id;
  std::string user;
  std::int32_t partition = 0;  // number of the log: a topic that is made anew has others
  std::int64_t offset = 0;
  std::string order_key{};
  int max_attempts = 3;
  std::int64_t at_us = 0;
  std::optional<ItemOf>
      item{};  // it is an item of a batch; `offset` is its place then, and `partition` that of the batch
};
// A record that is durable on a topic that ends an invocation.
struct Outcome {
  std::string id;
  std::string status;  // of a reply
  std::string output;
  bool dead_letter = false;
  std::int32_t partition = -1;  // of the request; dead letters name it, replies are matched by id
  std::int64_t offset = -1;
  std::string path{};      // of a reply: how its attempt got its place
  std::int64_t at_us = 0;  // when it became durable
  bool given_up = false;   // the dispatcher's word, without a run's end: poison, attempt_lost, expired
  bool deposed = false;    // the word of a dispatcher that did not know that the partition was another's
};
// User code ran in a container, from the guest's own witness.
struct Execution {
  std::string id;
  std::string machine;
  std::uint32_t container = 0;
  std::string user;
  std::int64_t begin_us = 0;
  std::int64_t end_us = 0;
  std::string executor{};
  bool failed = false;   // user code ended badly
  bool unheard = false;  // its executor took no note of its end
  bool killed = false;   // machine, container or executor died under it, or before its end was heard of
  // When its executor was told to; negative: when it began. What was ordered before an offset was set back belongs to
  // the time before, however late it begins.
  std::int64_t ordered_us = -1;
};
// An executor's process died, with all that it knew.
struct Death {
  std::string executor;
  std::int64_t at_us = 0;
};
// So long the executor heard no acknowledgement of some dispatcher; only what is longer than the grace is told.
struct CutOff {
  std::string executor;
  std::int64_t from_us = 0;
  std::int64_t to_us = 0;
};
// The partition went to another owner, or to the same one again.
struct Takeover {
  std::int32_t partition = 0;
  std::int64_t at_us = 0;
};
// The committed offset was set back and its metadata emptied: what lies above must run again.
struct SetBack {
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::int64_t at_us = 0;
  std::size_t outcomes_before = 0;
  std::size_t commits_before = 0;
};
// A commit that the broker accepted. `complete_above` are the offsets that its map claims.
struct Committed {
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::vector<std::int64_t> complete_above;
  std::size_t outcomes_before = 0;
};
// A ledger page says so.
struct PageClaim {
  std::int32_t partition = 0;
  std::vector<std::int64_t> complete;
  std::size_t outcomes_before = 0;
};
// A result was handed to Kafka by an executor that had seen `seen_epoch` for the partition.
struct Published {
  std::string id;
  std::int64_t epoch = 0;
  std::int64_t seen_epoch = 0;
};
struct Balance {
  std::int64_t received = 0;
  std::int64_t in_flight = 0;
  std::int64_t complete = 0;
};

struct History {
  std::vector<Death> deaths;
  std::vector<CutOff> cut_offs;
  std::vector<Takeover> takeovers;
  std::vector<SetBack> set_backs;
  std::set<std::int32_t> deleted;                           // logs whose topic was made anew
  std::set<std::pair<std::int32_t, std::int64_t>> removed;  // records that retention took: they may never end
  // Records that came after a take-over, and were placed by a former owner that did not know of it: the new owner does
  // not wait for what it cannot have, unless they must not run twice.
  std::set<std::string> placed_by_deposed;
  // All that such a one has placed.
  std::set<std::string> placed_after_loss;
  std::string unreadable_frame;  // of a link; why, where one was met
  std::vector<Sent> sent;
  std::vector<Outcome> outcomes;  // in the order in which they became durable
  std::vector<Execution> executions;
  std::vector<Committed> commits;
  std::vector<PageClaim> pages;
  std::vector<Published> published;
  std::vector<Balance> balances;
  BatchHistory batches;
  std::int64_t missed_wakeups = 0;  // dispatchers found something asleep that could have been placed
  bool quiescent = false;           // all was over before the time-limit
};

struct Verdict {
  std::string name;     // "no_loss", …
  std::string example;  // the smallest counter-example; empty: the verdict holds
};

// All verdicts, in a fixed order. An unfinished run fails "liveness".
std::vector<Verdict> Check(const History& history);

// Of the failed ones: "name: example" lines; empty where all hold.
std::string Describe(const std::vector<Verdict>& verdicts);

// How often each way to a start was taken from that time on, of all replies that had one.
struct Starts {
  std::map<std::string, int> paths;
  int count = 0;
};
Starts StartsSince(const History& history, std::int64_t from_us);

}  // namespace hearth::simulation
