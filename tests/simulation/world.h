// The simulated world: both daemons' cores under virtual time, with a broker, connections, machines and agents that
// lose, delay, repeat and die as one seed says. The same seed replays the same run to the letter.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "dispatcher/core/core.h"
#include "executor/core/core.h"
#include "schemas/batch_spec.h"
#include "schemas/batch_state.h"
#include "schemas/batch_want.h"
#include "tests/simulation/history.h"
#include "tests/simulation/options.h"

namespace hearth::simulation {

class World {
 public:
  explicit World(Options options);
  ~World();
  History Run();
  // Of everything that happened; equal for equal seeds.
  [[nodiscard]] std::uint64_t fingerprint() const { return fingerprint_; }
  // How often each kind was injected, or met.
  [[nodiscard]] const PerFault<int>& injected() const { return injected_; }

 private:
  struct Dispatcher;
  struct Executor;
  struct Machine;
  struct Connection;
  struct Batch;
  struct Partition;

  void At(std::int64_t delay_us, std::function<void()> work);
  [[nodiscard]] Time Now() const { return {now_us_, kEpochUs + now_us_}; }
  std::int64_t Between(std::int64_t least, std::int64_t most);
  bool Chance(double in_thousand);
  bool Happens(Fault fault);  // on this occasion; never once faults are over. Counts it
  void Count(Fault fault) { ++injected_[fault]; }
  void Note(const std::string& what);
  [[nodiscard]] bool Faulty() const { return now_us_ < options_.load_us; }
  [[nodiscard]] std::string Padded(std::string id) const;
  [[nodiscard]] std::shared_ptr<const Function> MakeFunction(int user, std::size_t number) const;

  void Produce(int number);
  [[nodiscard]] int IndexOf(const PartitionId& id) const;
  void MakeAnew(int topic);
  void SetBack();
  void Retain();
  void DeployNewVersion();

  // world_group.cc: who owns which partition, and who believes so
  void Rebalance();
  void Assign(int dispatcher, int partition);
  void TellAssigned(int dispatcher, int partition, std::uint64_t serial);
  void Pump(int dispatcher, int partition);
  void PumpAll(int partition);
  void Depose(int dispatcher);
  void NoteDeposed(const link::Exec& exec);
  void LosePartitions(int dispatcher);
  void Rejoin(int dispatcher);
  void SendCommit(int dispatcher, const dispatcher::Commit& commit);
  struct PendingCommit;
  void Apply(PendingCommit& commit);

  void FreezeDispatcher(int index);
  void RunDispatcher(int index);
  void FreezeExecutor(int index);
  void MakeShort(int index, Fault what);
  void RunExecutor(int index);
  void StepDispatcher(int index, const dispatcher::Event& event);
  void Do(int index, dispatcher::SendToExecutor& send);
  void Do(int index, dispatcher::Produce& produce);
  void Do(int index, dispatcher::Commit& commit);
  void Do(int index, dispatcher::PauseIntake& pause);
  void Do(int index, dispatcher::ResumeIntake& resume);
  void Do(int index, dispatcher::ReadBack& read);
  void Do(int index, dispatcher::WritePage& write);
  void Do(int index, dispatcher::ReadPages& read);
  void Do(int index, dispatcher::ReadStates& read);
  void WritePage(const dispatcher::WritePage& write, std::int32_t log);
  void Do(int index, dispatcher::LoadUser& load);
  void Do(int index, dispatcher::ClaimSlot& asked);
  void Do(int index, dispatcher::Trace& trace);
  void Do(int index, dispatcher::DrainFinished&);
  void Do(int, dispatcher::DirectoryWrite&) {}  // nobody reads the directory here
  void Do(int, dispatcher::DirectoryDropExecutor&) {}
  void StartDispatcher(int index);
  void StopDispatcher(int index, bool drained);
  void TickDispatcher(int index, std::uint64_t life);

  void StepExecutor(int index, const executor::Event& event);
  void StepLater(int index, std::int64_t delay_us, executor::Event event);
  bool NoteFence(Executor& node, const executor::Event& event) const;
  void Do(int index, executor::SendToDispatcher& send);
  void Do(int index, executor::StartMachine& start);
  void Do(int index, executor::KeepShells& keep);
  void Do(int index, executor::DestroyMachine& destroy);
  void Do(int index, executor::SendToGuest& send);
  void Do(int index, executor::SendArchive& archive);
  void Do(int index, executor::LoadCode& load);
  void Do(int index, executor::Publish& publish);
  void Do(int index, executor::PurgePublishes&);
  void Do(int index, executor::Trace& trace);
  void Do(int /*index*/, executor::Tally& /*tally*/) {}
  void Do(int, executor::MarkOwner&) {}
  void Do(int, executor::PublishUsage&) {}
  void Do(int, executor::DrainFinished&) {}  // an executor of the simulation is never drained
  void StartExecutor(int index);
  void StopExecutor(int index);
  void TickExecutor(int index, std::uint64_t life);
  void KillRuns(Machine& machine);
  void MakeShells(int index, const std::string& profile);
  void Guest(int index, const MachineId& machine_id, const guest::Frame& frame);
  void FromGuest(int index, const MachineId& machine_id, guest::Frame frame, std::int64_t delay_us);

  void Connect(int dispatcher, int executor);
  void Disconnect(std::uint64_t connection);
  void Stall(std::uint64_t connection);
  void BlackOut(int executor);
  void Deafen(int executor);
  void NoteAcknowledgement(int dispatcher, int executor, std::int64_t sent_us);
  std::optional<link::Message> Carry(Connection& connection, link::Message message);  // over the wire
  void ToExecutor(int dispatcher, const ExecutorId& executor, const link::Message& message);
  void ToDispatcher(std::uint64_t link, const link::Message& message);
  void ReceiveAtExecutor(std::uint64_t link, const link::Message& message);
  void ReceiveAtDispatcher(std::uint64_t link, const link::Message& message);
  std::int64_t Append(const OutRecord& record, bool deposed = false);
  void Misfortune();
  [[nodiscard]] bool Over() const;

  // world_batches.cc: clients that submit batches, and the topics where batches lie
  void MakeBatches();
  void StartBatches();
  void Submit(std::size_t number);
  void MakeItems(Batch& batch);
  void NameItems(Batch& batch, std::int32_t generation);
  void Wish(std::size_t number);
  void Write(const Batch& batch, const Want& want);
  void Write(const PartitionId& home, const std::string& key, const std::string& value);
  void Tend();
  void RetainItems(std::int32_t partition);
  [[nodiscard]] bool BatchesAreOver() const;
  [[nodiscard]] const Batch* Find(const BatchRef& ref) const;
  [[nodiscard]] const Partition& LogOf(const PartitionId& id) const;
  std::int64_t AppendToBatches(const OutRecord& record);
  void NoteState(const BatchRef& ref, const std::string& value);
  std::int64_t AppendResult(const OutRecord& record);
  void CountStale(int dispatcher, const dispatcher::WritePage& write);
  void NoteStatusPage(const dispatcher::WritePage& write);
  void JudgeEpoch(int dispatcher, const dispatcher::WritePage& write);
  void JudgeRun(const guest::Run& run);
  [[nodiscard]] std::int64_t AcceptedAt(const link::Exec& exec) const;
  void NoteItemPlaced(int dispatcher, const ExecutorId& executor, const link::Exec& exec);
  void NoteItemsEnd(const Connection& connection, const link::Message& message);
  void NoteItemLost(int dispatcher, const dispatcher::Trace& trace);
  void ForgetPlaced(int dispatcher);

  static constexpr const char* kBatches = "hearth.batches";
  static constexpr const char* kBatchItems = "hearth.batch.items";
  static constexpr const char* kBatchState = "hearth.batch.state";
  static constexpr const char* kBatchResults = "hearth.batch.results";
  static constexpr std::int64_t kEpochUs = 1'700'000'000'000'000;
  const Options options_;
  const bool trace_;  // prints what happens; HEARTH_SIMULATION_TRACE
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
    PartitionId id;
    std::int32_t number = 0;  // of the log, in the history
    std::vector<std::shared_ptr<const Record>> log;
    std::int64_t start = 0;  // offsets; what lies between the last record and the end are control records
    std::int64_t end = 0;
    std::int64_t committed = 0;
    std::string metadata;
    int owner = -1;
  };
  std::vector<Partition> partitions_;
  std::map<dispatcher::PageKey, std::string> pages_;  // of the topic
  std::int32_t next_log_ = 0;
  std::vector<Partition> item_logs_;  // of hearth.batch.items, by number
  std::vector<std::unique_ptr<Batch>> batches_;
  std::map<BatchRef, BatchState> states_;  // the last ones
  std::vector<std::int64_t> results_;      // how many lie in each partition
  // By dispatcher and executor: the items that are placed, by the topic of their batch.
  std::map<std::pair<int, int>, std::set<std::pair<std::string, std::int64_t>>> placed_items_;
  std::vector<std::unique_ptr<Dispatcher>> dispatchers_;
  std::vector<std::unique_ptr<Executor>> executors_;
  std::map<std::uint64_t, Connection> connections_;
  std::uint64_t next_connection_ = 1;
  std::uint64_t generation_ = 0;
  std::set<std::string> open_;                                 // ids that must still end
  std::map<std::string, PartitionId> sent_to_;                 // by id
  std::map<std::pair<int, int>, std::int64_t> blocked_until_;  // dispatcher and executor
  std::map<std::pair<int, int>, std::int64_t> acknowledged_;   // send time of the last heartbeat that was
  std::map<std::uint64_t, int> stale_;                         // links that the dispatcher gave up → executor
  std::map<std::pair<std::string, std::string>, std::int64_t> versions_;  // user and function
  std::map<std::pair<std::string, std::string>, std::int64_t>
      ordered_;  // executor and id → when it was last told to run
  bool set_back_ = false;
  std::int64_t down_until_us_ = 0;  // no dispatcher starts before
  PerFault<int> injected_{};
  std::map<std::string, std::pair<std::int64_t, int>> claims_;  // container → idle since, dispatcher
  int produced_ = 0;
  std::uint64_t fingerprint_ = 1469598103934665603ULL;
  History history_;
};

}  // namespace hearth::simulation
