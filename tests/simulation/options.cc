#include "tests/simulation/options.h"

#include <random>
#include <sstream>

namespace hearth::simulation {
namespace {

struct Trait {
  Fault fault;
  const char* name;
  double usual;    // the rate or chance, before it is scaled
  int in_hundred;  // runs that have it
};

constexpr Trait kTraits[] = {
    {Fault::kDispatcherCrash, "dispatcher_crash", 0.02, 60},
    {Fault::kExecutorCrash, "executor_crash", 0.02, 50},
    {Fault::kMachineDeath, "machine_death", 0.03, 60},
    {Fault::kLinkBreak, "link_break", 0.05, 60},
    {Fault::kStalledLink, "stalled_link", 0.03, 30},
    {Fault::kBlackout, "blackout", 0.02, 30},
    {Fault::kDeafExecutor, "deaf_executor", 0.02, 20},
    {Fault::kDrain, "drain", 0.02, 30},
    {Fault::kFrozenDispatcher, "frozen_dispatcher", 0.02, 30},
    {Fault::kFrozenExecutor, "frozen_executor", 0.02, 30},
    {Fault::kMemoryShort, "memory_short", 0.03, 30},
    {Fault::kProcessorShort, "processor_short", 0.03, 30},
    {Fault::kDeposedOwner, "deposed_owner", 0.02, 30},
    {Fault::kSessionLost, "session_lost", 0.02, 30},
    {Fault::kRebalance, "rebalance", 0.05, 30},
    {Fault::kTopicMadeAnew, "topic_made_anew", 0.05, 20},
    {Fault::kOffsetsSetBack, "offsets_set_back", 0.05, 20},
    {Fault::kRetention, "retention", 0.05, 20},
    {Fault::kNewVersion, "new_version", 0.1, 50},
    {Fault::kProduceLost, "produce_lost", 10, 50},
    {Fault::kProduceSlow, "produce_slow", 20, 40},
    {Fault::kProduceLate, "produce_late", 10, 40},
    {Fault::kCommitLost, "commit_lost", 20, 40},
    {Fault::kCommitSlow, "commit_slow", 50, 40},
    {Fault::kCommitLate, "commit_late", 20, 40},
    {Fault::kPageLost, "page_lost", 50, 40},
    {Fault::kPageSlow, "page_slow", 50, 40},
    {Fault::kPageLate, "page_late", 50, 40},
    {Fault::kPagesAway, "pages_away", 500, 40},
    {Fault::kReadBackFails, "read_back_fails", 50, 40},
    {Fault::kLateAssignment, "late_assignment", 100, 40},
    {Fault::kControlRecords, "control_records", 100, 50},
    {Fault::kRepeatedFrame, "repeated_frame", 10, 40},
    {Fault::kStartFailure, "start_failure", 50, 50},
    {Fault::kContainerDeath, "container_death", 10, 50},
    {Fault::kShellDeath, "shell_death", 20, 50},
    {Fault::kTemplateDeath, "template_death", 10, 50},
    {Fault::kExpiry, "expiry", 50, 40},
    {Fault::kOrderKey, "order_key", 400, 50},
    {Fault::kLargePayload, "large_payload", 3, 15},
    {Fault::kLargeText, "large_text", 300, 30},
    {Fault::kSlowCode, "slow_code", 120, 100},  // of the runs of a slow function
    {Fault::kLostPartition, "lost_partition", 0, 0},
    {Fault::kNewToTheOwner, "new_to_the_owner", 0, 0},
    {Fault::kUnreadRemoved, "unread_removed", 0, 0},
    {Fault::kPausedReturn, "paused_return", 0, 0},
    {Fault::kRefusedCommit, "refused_commit", 0, 0},
    {Fault::kNobodyConnected, "nobody_connected", 0, 0},
    {Fault::kHealedBetween, "healed_between", 0, 0},
    {Fault::kOnlyAttemptLost, "only_attempt_lost", 0, 0},
    {Fault::kManyReportedDone, "many_reported_done", 0, 0},
    {Fault::kPages, "pages", 0, 0},
    {Fault::kIdlePage, "idle_page", 0, 0},
    {Fault::kParked, "read_back", 0, 0},
    {Fault::kParkedLost, "parked_lost", 0, 0},
    {Fault::kUnreadAtTakeOver, "unread_at_take_over", 0, 0},
    {Fault::kPurged, "purged_results", 0, 0},
    {Fault::kBatchEnded, "batch_ended", 0, 0},
    {Fault::kBatchRefused, "batch_refused", 0, 0},
    {Fault::kBatchRedriven, "batch_redriven", 0, 0},
    {Fault::kBatchStopped, "batch_stopped", 0, 0},
    {Fault::kBatchPages, "batch_pages", 0, 0},
    {Fault::kItemGone, "item_gone", 0, 0},
    {Fault::kStaleState, "stale_state", 0, 0},
    {Fault::kStalePage, "stale_page", 0, 0},
    {Fault::kSecondSpec, "second_spec", 0, 0},
};
static_assert(std::size(kTraits) == kFaults);

constexpr std::uint64_t kBatchSeed = 0x5ba7c4e5;  // what is drawn of batches changes nothing else
constexpr int kInHundredHaveBatches = 30;
constexpr std::uint64_t kStormEvery = 40;   // one user's code fails again and again, with long messages
constexpr std::uint64_t kFloodEvery = 200;  // more is finished above the lowest incomplete offset than a report holds

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed * 0x9e3779b97f4a7c15ULL + 1) {}
  std::int64_t Between(std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(most - least + 1));
  }
  bool Percent(int chance) { return Between(0, 99) < chance; }
  template <class T>
  T OneOf(std::initializer_list<T> from) {
    return from.begin()[Between(0, static_cast<std::int64_t>(from.size()) - 1)];
  }

 private:
  std::mt19937_64 random_;
};

FunctionPlan DrawFunction(Dice& dice, bool large_profile) {
  FunctionPlan plan;
  plan.max_attempts = dice.OneOf({1, 2, 3, 3, 5});
  plan.memory_mib = dice.OneOf({64, 128, 128, 200});
  plan.failing_percent = dice.OneOf({0, 20, 20, 60});
  plan.concurrency = dice.OneOf({0, 0, 1, 2});
  if (large_profile && dice.Percent(40)) plan.profile = "large";
  if (dice.Percent(30)) {
    plan.slow = true;
    plan.timeout_ms = 60'000;
  }
  return plan;
}

void MakeStorm(Options& options) {
  options.invocations = 1'000;
  options.batches = 0;
  options.load_us = 25'000'000;
  options.longest_run_us = 20'000;
  options.users = 1;
  options.topics = 1;
  options.partitions = 1;
  options.executors = 1;
  options.functions = {{5, "default", 64, 60'000, 90, true}};
  options.order_keys = 0;
  options.memory_mib = 8192;
  options.credit = 64;
  options.lane_records = 256;
  options.user_concurrency = 64;
  options.faults[Fault::kLargeText] = 1000;
  options.faults[Fault::kSlowCode] = 10;
  options.faults[Fault::kExecutorCrash] = 0;
  options.faults[Fault::kTopicMadeAnew] = 0;
  options.faults[Fault::kRetention] = 0;
  options.faults[Fault::kOffsetsSetBack] = 0;
  options.faults[Fault::kLinkBreak] = 0.2;
}

void MakeFlood(Options& options) {
  options.invocations = 9'000;
  options.batches = 0;
  options.users = 2;
  options.topics = 1;
  options.partitions = 1;
  options.executors = 1;
  options.functions = {{3, "default", 32, 60'000, 0, true}};
  options.order_keys = 0;
  options.memory_mib = 32'768;
  options.credit = 256;
  options.lane_records = 256;
  options.map_bytes = 4096;
  options.wide_offsets = 24'000;
  options.user_concurrency = 64;
  options.longest_run_us = 30'000;
  options.faults = {};
  options.load_us = 20'000'000;
  options.faults[Fault::kSlowCode] = 10;
  options.faults[Fault::kLinkBreak] = 0.5;
}

}  // namespace

const char* NameOf(Fault fault) {
  return kTraits[static_cast<std::size_t>(fault)].name;
}

Options Draw(std::uint64_t seed) {
  Dice dice(seed);
  Options options;
  options.seed = seed;
  options.invocations = static_cast<int>(dice.Between(20, 80));
  options.users = static_cast<int>(dice.Between(1, 5));
  options.topics = static_cast<int>(dice.Between(1, 3));
  options.partitions = static_cast<int>(dice.Between(1, 3));
  options.dispatchers = static_cast<int>(dice.Between(1, 3));
  options.executors = static_cast<int>(dice.Between(1, 3));
  options.large_profile = dice.Percent(30);
  options.memory_mib = options.large_profile ? 4096 : 2048;
  options.functions.clear();
  for (auto left = dice.Between(1, 3); left > 0; --left) {
    options.functions.push_back(DrawFunction(dice, options.large_profile));
  }
  options.order_keys = static_cast<int>(dice.Between(1, 4));
  if (dice.Percent(20)) options.id_bytes = 128;
  options.credit = dice.OneOf({4, 16, 16, 64});
  options.lane_records = dice.OneOf({1, 3, 16, 256});
  options.map_bytes = dice.OneOf<std::size_t>({72, 80, 96, 4096});
  options.wide_offsets = dice.OneOf({8, 24'000});
  options.page_offsets = dice.OneOf<std::int64_t>({4, 8, 32, 65'536});
  options.waiting = dice.OneOf({1, 4, 8, 64});
  options.user_concurrency = dice.OneOf({1, 3, 64, 64});
  for (const Trait& trait : kTraits) {
    const double scale = dice.OneOf({0.5, 1.0, 1.0, 2.0});
    if (dice.Percent(trait.in_hundred)) options.faults[trait.fault] = trait.usual * scale;
  }
  if (Dice of_batches(seed ^ kBatchSeed); of_batches.Percent(kInHundredHaveBatches)) {
    options.batches = static_cast<int>(of_batches.Between(1, 3));
  }
  if (seed % kStormEvery == 0) MakeStorm(options);
  if (seed % kFloodEvery == 0) MakeFlood(options);
  return options;
}

std::string Describe(const Options& options) {
  std::ostringstream text;
  text << "seed " << options.seed << ": " << options.invocations << " invocations, " << options.batches << " batches, "
       << options.users << " users, " << options.topics << " topics of " << options.partitions << " partitions, "
       << options.dispatchers << " dispatchers, " << options.executors << " executors, " << options.order_keys
       << " order keys, ids of " << options.id_bytes << " bytes, credit " << options.credit << ", " << options.waiting
       << " may wait"
       << ", " << options.lane_records << " held of a lane, maps of " << options.map_bytes << " bytes, pages of "
       << options.page_offsets << ", user's bound " << options.user_concurrency << "\n";
  for (const auto& plan : options.functions) {
    text << "  function: " << plan.max_attempts << " attempts, profile " << plan.profile << ", " << plan.memory_mib
         << " MiB, " << plan.failing_percent << " % fail" << (plan.slow ? ", slow" : "") << ", at most "
         << plan.concurrency << " at once\n";
  }
  return text.str();
}

}  // namespace hearth::simulation
