// The simulated world: both daemons' cores under virtual time, with a broker, connections, machines and agents that
// lose, delay, repeat and die as one seed says. The same seed replays the same run to the letter.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "dispatcher/core/core.h"
#include "executor/core/core.h"
#include "tests/simulation/history.h"

namespace hearth::simulation {

// What can go wrong. Rates are per virtual second and node while faults last; probabilities are of one in a thousand.
struct Faults {
  double dispatcher_crash = 0.02;
  double executor_crash = 0.02;
  double link_break = 0.05;
  double machine_death = 0.03;
  int produce_failure = 10;
  int start_failure = 50;
  int container_death = 10;
  int shell_death = 20;     // for each that is made, instead of becoming ready
  int template_death = 10;  // for each that is made: all that wait are gone with it
};

// Guards that can be taken away, to see that the checker notices.
enum class Mutant : std::uint8_t {
  kNone,
  kDropReply,
  kDifferentTwin,
  kCommitEarly,
  kMixUpMachines,
  kAckBeforeDurable,
  kRunTwice,
  kForgetEpoch,
};

struct Options {
  std::uint64_t seed = 1;
  int invocations = 60;
  int users = 4;
  int partitions = 3;
  int dispatchers = 2;
  int executors = 2;
  std::int64_t load_us = 15'000'000;    // requests and faults come within it
  std::int64_t limit_us = 400'000'000;  // then the run counts as stuck
  std::int32_t memory_mib = 2048;       // of each executor
  std::int32_t pool_min = 1, pool_max = 3, shells = 2;
  std::int32_t credit = 16;
  std::int64_t arrive_us = 0;  // users appear one by one within it; 0: all are there at once
  bool code_fails = true;      // user code ends badly at times
  Faults faults;
  Mutant mutant = Mutant::kNone;
};

class World {
 public:
  explicit World(Options options);
  ~World();
  History Run();
  // Of everything that happened; equal for equal seeds.
  [[nodiscard]] std::uint64_t fingerprint() const { return fingerprint_; }

 private:
  struct Dispatcher;
  struct Executor;
  struct Machine;
  struct Connection;

  void At(std::int64_t delay_us, std::function<void()> work);
  [[nodiscard]] Time Now() const { return {now_us_, kEpochUs + now_us_}; }
  std::int64_t Between(std::int64_t least, std::int64_t most);
  bool Chance(int in_thousand);
  void Note(const std::string& what);

  void Produce(int number);
  void Rebalance();
  void Pump(int partition);
  void StepDispatcher(int index, const dispatcher::Event& event);
  void Do(int index, dispatcher::Effect& effect);
  void StartDispatcher(int index);
  void StopDispatcher(int index);
  void TickDispatcher(int index, std::uint64_t life);

  void StepExecutor(int index, const executor::Event& event);
  void Do(int index, executor::Effect& effect);
  void StartExecutor(int index);
  void StopExecutor(int index);
  void TickExecutor(int index, std::uint64_t life);
  void MakeShells(int index);
  void Guest(int index, const InstanceId& instance, const guest::Frame& frame);
  void FromGuest(int index, const InstanceId& instance, guest::Frame frame, std::int64_t delay_us);

  void Connect(int dispatcher, int executor);
  void Disconnect(std::uint64_t connection);
  void Append(const OutRecord& record);
  void Misfortune();
  [[nodiscard]] bool Over() const;

  static constexpr std::int64_t kEpochUs = 1'700'000'000'000'000;
  const Options options_;
  std::mt19937_64 random_;
  std::int64_t now_us_ = 0;
  std::uint64_t sequence_ = 0;
  struct Due {
    std::int64_t at_us;
    std::uint64_t sequence;
    std::function<void()> work;
    bool operator>(const Due& other) const { return std::tie(at_us, sequence) > std::tie(other.at_us, other.sequence); }
  };
  std::priority_queue<Due, std::vector<Due>, std::greater<>> heap_;

  struct Partition {
    std::vector<std::shared_ptr<const Record>> log;
    std::int64_t committed = 0;
    std::string metadata;
    int owner = -1;
    std::int64_t position = 0;
    bool paused = false;
    bool pumping = false;
  };
  std::vector<Partition> partitions_;
  std::vector<std::unique_ptr<Dispatcher>> dispatchers_;
  std::vector<std::unique_ptr<Executor>> executors_;
  std::map<std::uint64_t, Connection> connections_;
  std::uint64_t next_connection_ = 1;
  std::uint64_t generation_ = 0;
  std::set<std::string> ended_;
  std::map<std::string, std::int32_t> sent_to_;                 // id → partition
  std::map<std::string, std::pair<std::int64_t, int>> claims_;  // container → idle since, dispatcher
  int produced_ = 0;
  std::uint64_t fingerprint_ = 1469598103934665603ULL;
  History history_;
};

}  // namespace hearth::simulation
