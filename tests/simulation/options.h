// What a run of the simulated world is made of, all of it drawn from the seed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hearth::simulation {

// What can happen to a run. The first are rolled for each node and virtual second while faults last, the next for each
// occasion out of a thousand, and the last ones follow from others and are only counted.
enum class Fault : std::uint8_t {
  kDispatcherCrash,
  kExecutorCrash,
  kMachineDeath,
  kLinkBreak,
  kStalledLink,       // frames on an old link arrive after those on the next one
  kBlackout,          // an executor is cut off for seconds
  kDeafExecutor,      // hears no acknowledgements, and no link breaks
  kDrain,             // DrainRequested, then a restart
  kFrozenDispatcher,  // time passes without steps; what came meanwhile comes then
  kFrozenExecutor,
  kMemoryShort,     // of an executor's host, for seconds
  kProcessorShort,  // likewise: something else takes them
  kDeposedOwner,    // the group moved its partitions and it does not know
  kSessionLost,     // its partitions are lost, it joins again
  kRebalance,       // for no reason of ours
  kTopicMadeAnew,   // the log is empty, offsets start from 0, nothing is committed
  kOffsetsSetBack,  // while all dispatchers are down
  kRetention,       // the first records of a log are removed, read or not
  kNewVersion,      // of a function
  kProduceLost,
  kProduceSlow,
  kProduceLate,  // applied, and answered with an error
  kCommitLost,
  kCommitSlow,
  kCommitLate,  // applied, and answered with an error
  kPageLost,    // a ledger page is not written, and its writer is told so
  kPageSlow,
  kPageLate,        // written, and answered with an error
  kPagesAway,       // no page can be read
  kReadBackFails,   // a piece of a log cannot be read
  kLateAssignment,  // nobody says for seconds where to begin in a partition
  kControlRecords,  // at the end of a log: offsets that no reader is given
  kRepeatedFrame,
  kStartFailure,
  kContainerDeath,
  kShellDeath,     // for each that is made, instead of becoming ready
  kTemplateDeath,  // for each that is made: all that wait are gone with it
  kExpiry,         // a request that expires soon
  kOrderKey,       // a request with an order key, of a few that all users share
  kLargePayload,
  kLargeText,         // an error message of 4 KiB
  kSlowCode,          // a run of many seconds
  kLostPartition,     // PartitionRevoked{lost}
  kNewToTheOwner,     // a record that came after the assignment
  kUnreadRemoved,     // LogStartMoved
  kPausedReturn,      // a paused partition came back to the process that paused it
  kRefusedCommit,     // of a deposed owner
  kNobodyConnected,   // an executor had no link for longer than the grace
  kHealedBetween,     // after the executor's grace and before the dispatcher's lease was over
  kOnlyAttemptLost,   // a run of a function with one attempt was killed
  kManyReportedDone,  // a FenceReport with dozens of entries
  kPages,             // a take-over read ledger pages
  kIdlePage,          // one was taken away, because a commit has passed it
  kParked,            // a piece of a log was read back, because records were left there until there is room
  kParkedLost,        // it was removed from there meanwhile
  kUnreadAtTakeOver,  // what a former owner had read, and did not complete, was read back beside what is new
  kPurged,            // a result was taken back from Kafka's client before it was sent
  kBatchEnded,
  kBatchRefused,   // its deadline had passed before anybody took it
  kBatchRedriven,  // a generation of it has ended that is not the first
  kBatchStopped,   // cancelled, expired, or past its tolerance
  kBatchPages,     // a take-over read pages of statuses
  kItemGone,       // retention took it before it ran
  kStaleState,     // of a former owner that did not know of it came after one of its successor
  kStalePage,      // likewise of a page of statuses
  kSecondSpec,     // another client wrote a spec under the same name
  kCount,
};
constexpr auto kFaults = static_cast<std::size_t>(Fault::kCount);

const char* NameOf(Fault fault);

// Of each kind one number: a rate, a chance of a thousand, or a count.
template <class T>
class PerFault {
 public:
  T& operator[](Fault fault) { return values_[static_cast<std::size_t>(fault)]; }
  const T& operator[](Fault fault) const { return values_[static_cast<std::size_t>(fault)]; }

 private:
  std::array<T, kFaults> values_{};
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
  kEmptyReports,
  kForgetOrder,
  kTryAgain,
};

struct FunctionPlan {
  int max_attempts = 3;
  std::string profile = "default";
  int memory_mib = 128;
  int timeout_ms = 3000;
  int failing_percent = 20;
  bool slow = false;    // some of its runs take many seconds
  int concurrency = 0;  // how many of it may run at once; 0: as many as of the user
};

struct Options {
  std::uint64_t seed = 1;
  int invocations = 60;
  int users = 4;
  int topics = 1;      // each of its own class
  int partitions = 3;  // of each topic
  int dispatchers = 2;
  int executors = 2;
  std::vector<FunctionPlan> functions = {{}};
  int order_keys = 0;                   // that the users share; 0: none
  std::size_t id_bytes = 0;             // ids are padded to so many
  std::int64_t load_us = 15'000'000;    // requests and faults come within it
  std::int64_t limit_us = 900'000'000;  // then the run counts as stuck
  std::int32_t memory_mib = 2048;       // of each executor
  bool large_profile = false;           // beside the default one
  std::int32_t pool_min = 1, pool_max = 3, shells = 2;
  std::int32_t credit = 16;
  std::int32_t waiting = 8;            // for a machine, at most
  std::int64_t lane_records = 256;     // that a dispatcher holds of one user and function in a partition
  std::int64_t held_bytes = 64 << 20;  // of one partition
  std::size_t map_bytes = 4096;        // of a commit's metadata
  std::int64_t wide_offsets = 24'000;  // held open, where ledger pages cannot be written
  std::int64_t page_offsets = 65'536;  // that a ledger page tells of
  std::int32_t user_concurrency = 64;
  int batches = 0;
  int flood_in_thousand =
      0;  // of the requests: of the first user for the first function; the others' are for the second
  std::int64_t arrive_us = 0;  // users appear one by one within it; 0: all are there at once
  std::int64_t longest_run_us = 300'000;
  bool code_fails = true;  // user code ends badly at times
  PerFault<double> faults{};
  Mutant mutant = Mutant::kNone;
};

Options Draw(std::uint64_t seed);

// One line for each thing that was drawn.
std::string Describe(const Options& options);

}  // namespace hearth::simulation
