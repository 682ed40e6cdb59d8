// The simulated processes and machines. Private to the world.
#pragma once

#include <deque>

#include "tests/simulation/world.h"

namespace hearth::simulation {

struct World::Dispatcher {
  std::unique_ptr<dispatcher::Core> core;  // null: the process is down
  std::uint64_t life = 0;
  std::deque<dispatcher::Event> events;
  bool stepping = false;
};

struct World::Machine {
  struct Run {
    std::size_t execution = 0;  // index in the history
    std::uint64_t serial = 0;
  };
  struct Box {
    std::string user;
    bool busy = false;
    Run run;
  };
  std::string user;
  std::set<std::string> codes;
  std::string offered;
  std::map<std::uint32_t, Box> boxes;
  std::int64_t last_us = 0;  // frames of one machine keep their order
};

struct World::Executor {
  std::unique_ptr<executor::Core> core;  // null: the process is down
  std::uint64_t life = 0;
  std::deque<executor::Event> events;
  bool stepping = false;
  std::map<InstanceId, Machine> machines;
  std::map<std::int32_t, std::int64_t> seen_epoch;
  int shells = 0;  // that wait
  int shells_wanted = 0;
  bool making_shell = false;
};

struct World::Connection {
  int dispatcher = 0;
  int executor = 0;
  bool greeted = false;               // the dispatcher has read the executor's hello
  std::int64_t to_dispatcher_us = 0;  // frames of one direction keep their order
  std::int64_t to_executor_us = 0;
};

}  // namespace hearth::simulation
