// The simulated processes and machines. Private to the world.
#pragma once

#include <deque>

#include "common/daemon/stepper.h"
#include "schemas/link_session.h"
#include "tests/simulation/world.h"

namespace hearth::simulation {

// Carried out in the order in which they were sent; answered when the broker pleases.
struct World::PendingCommit {
  int dispatcher = 0;
  dispatcher::Commit commit;
  std::uint64_t generation = 0;
  std::int32_t log = 0;
  bool lost = false;
  bool late = false;
  bool applied = false;
  bool ok = false;
};

struct World::Dispatcher {
  struct Reader {
    std::size_t position = 0;  // in the log
    std::uint64_t serial = 0;
    bool pumping = false;
    bool told = false;            // that it is assigned, and where to begin
    bool unread_removed = false;  // and not told of it
    std::int64_t log_end = 0;     // of the assignment
    std::int64_t caught_up = 0;
  };
  std::unique_ptr<dispatcher::Core> core;  // null: the process is down
  std::uint64_t life = 0;
  Stepper<dispatcher::Event, dispatcher::Effect> stepper;
  bool frozen = false;
  bool deposed = false;  // the group has moved its partitions, and it does not know yet
  bool draining = false;
  std::uint64_t generation = 0;
  std::map<int, Reader> readers;  // of what it believes to own
  std::set<int> paused;           // kept by the client until ResumeIntake, whoever owns the partition meanwhile
  std::deque<std::shared_ptr<PendingCommit>> commits;
  std::int64_t commit_at_us = 0;
  std::int64_t page_at_us = 0;
};

struct World::Machine {
  struct Run {
    std::size_t execution = 0;  // index in the history
    std::uint64_t serial = 0;   // 0: none yet
  };
  struct Box {
    std::string user;
    std::string function;
    bool busy = false;
    bool only_attempt = false;
    Run run;
  };
  std::string user;
  std::set<std::string> codes;
  std::map<std::uint32_t, Box> boxes;
  std::map<std::uint32_t, std::size_t> runs;  // the last execution of each, also of one that is gone
  std::int64_t last_us = 0;                   // frames of one machine keep their order
};

struct World::Executor {
  std::unique_ptr<executor::Core> core;  // null: the process is down
  std::uint64_t life = 0;
  Stepper<executor::Event, executor::Effect> stepper;
  std::map<MachineId, Machine> machines;
  bool frozen = false;
  std::map<PartitionId, std::int64_t> seen_epoch;
  std::map<std::uint64_t, std::shared_ptr<bool>> unsent;  // publishes that lie in Kafka's client: taken back?
  std::int64_t deaf_until_us = 0;
  std::int64_t short_until_us = 0;
  struct Shells {
    int ready = 0;
    int wanted = 0;
    bool making = false;
  };
  std::map<std::string, Shells> shells;  // by profile
};

struct World::Connection {
  int dispatcher = 0;
  int executor = 0;
  bool greeted = false;               // the dispatcher has read the executor's hello
  std::int64_t to_dispatcher_us = 0;  // frames of one direction keep their order
  std::int64_t to_executor_us = 0;
  link::SessionWriter writer{};
  link::SessionReader reader{};
};

// What its clients know of a batch, and what its owners have made of it.
struct World::Batch {
  BatchRef ref;
  PartitionId home;
  int user = 0;
  std::string function;
  int max_attempts = 1;
  BatchSpec spec;
  std::map<std::int64_t, std::pair<std::int64_t, std::string>> places;  // by index: place and order key
  std::map<std::string, ItemOf> items;                                  // by the invocation's id
  std::set<std::int32_t> named;                                         // generations whose items are known
  std::vector<std::pair<std::int64_t, BatchSpec>> accepted;             // with its offset, as owners wrote it
  std::int32_t redrives = 0;                                            // that are wished once it has ended
  bool submitted = false;
  bool steered = false;  // its concurrency is changed
};

}  // namespace hearth::simulation
