// What the executor's core is told once: its name, its bounds, its time-outs.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "schemas/function.h"
#include "schemas/link.h"
#include "schemas/reply_policy.h"
#include "schemas/topics.h"

namespace hearth::executor {

struct Profile {
  std::string name = "default";
  std::int32_t memory_mib = 512;   // of a machine
  std::int32_t reserve_mib = 128;  // of that, kept for kernel, agent and runtimes
  std::int32_t vcpus = 1;
  std::int32_t pool_min = 1;  // unassigned warm machines to hold
  std::int32_t pool_max = 4;
  std::int32_t shells = 2;  // to hold behind the pool
};

// What holds for one user instead of the executor's defaults; 0 where nothing else was said.
struct UserLimits {
  std::int64_t container_idle_ms = 0;
  std::int64_t machine_idle_ms = 0;
  std::int32_t max_starts = 0;  // machines starting at once
};

struct Settings {
  ExecutorId id;
  std::string incarnation;
  std::string acceleration;  // "kvm", "tcg" or "simulated"
  std::vector<Profile> profiles;
  std::set<Runtime> runtimes;                   // that a machine must have; one that started without is replaced
  std::int32_t memory_mib = 8192;               // for all machines together
  std::int32_t credit = 64;                     // attempts held at once, without those that wait for a machine
  std::int32_t waiting = 64;                    // attempts that wait for a machine, or for room in one
  std::int32_t concurrent_starts = 2;           // machines starting at once: boots, and what refills the pool
  std::int32_t concurrent_activations = 8;      // shells activated at once for requests; refill never holds these back
  std::int32_t user_starts = 4;                 // machines starting at once for one user
  std::int64_t container_idle_ms = 5 * 60'000;  // where neither the function nor its user says otherwise
  std::int64_t machine_idle_ms = 15 * 60'000;
  std::map<UserId, UserLimits> users;
  std::int64_t start_timeout_ms = 30'000;      // StartMachine → agent's Hello; stretched by StartLimitMs
  std::int64_t ping_interval_ms = 2'000;       // three misses condemn
  std::int64_t container_timeout_ms = 30'000;  // Create → Created, Remove → ContainerGone
  std::int64_t kill_grace_ms = 2'000;          // past an attempt's time-out without Ended: the machine is condemned
  std::int64_t orphan_grace_ms = link::kOrphanGraceMs;
  ReplyPolicy replies{.default_topic = {}, .allowed = {"*"}};
  std::string batch_results_topic{
      TopicName(Topic::kBatchResults)};  // replies to items of batches go there and nowhere else
  std::string undeliverable_topic{TopicName(Topic::kUndeliverable)};
  std::string usage_topic{TopicName(Topic::kUsage)};
  std::uint64_t seed = 0;
  bool detailed_traces = true;  // Trace names what each step is of; else where a log wants that at every level only

  [[nodiscard]] const UserLimits& LimitsOf(const UserId& user) const;
  [[nodiscard]] std::size_t ProfileOf(const Function& function) const;  // its index; profiles.size() where unknown
};

}  // namespace hearth::executor
