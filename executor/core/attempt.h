// An attempt to run an invocation, as this executor holds it. Everybody may read it; only Attempts (attempts.h) moves
// it from phase to phase.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "common/base/time.h"
#include "executor/core/keys.h"
#include "executor/core/states.h"
#include "executor/core/why.h"
#include "schemas/link.h"
#include "schemas/record.h"

namespace hearth::executor {

class Attempt {
 public:
  Attempt() = default;
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  [[nodiscard]] const AttemptKey& key() const { return *key_; }
  [[nodiscard]] const link::Exec& exec() const { return exec_; }  // its epoch is the one in force
  [[nodiscard]] const Function& function() const { return *exec_.function; }
  [[nodiscard]] const PartitionId& partition() const { return exec_.ref.partition; }
  [[nodiscard]] AttemptPhase phase() const { return phase_; }
  // Promised: the container that is made for it. Running: the one that it runs in.
  [[nodiscard]] bool has_container() const {
    return phase_ == AttemptPhase::kPromised || phase_ == AttemptPhase::kRunning;
  }
  [[nodiscard]] std::uint64_t machine() const { return machine_; }
  [[nodiscard]] std::uint32_t container() const { return container_; }
  [[nodiscard]] StartPath path() const { return path_; }
  [[nodiscard]] std::int64_t accepted_us() const { return why_.accepted_us(); }
  [[nodiscard]] const Time& run_sent() const { return run_sent_; }  // running: since when
  [[nodiscard]] bool in_client() const { return token_ != 0; }      // publishing: its record is in Kafka's client

  // What decided how it gets its container, for people who ask.
  void Note(Rung rung, std::string_view because) { why_.Note(rung, because); }
  // True the first time: it is counted once as a request for a machine, however long it waits for one.
  [[nodiscard]] bool CountOnce() { return !std::exchange(counted_, true); }

 private:
  friend class Attempts;

  const AttemptKey* key_ = nullptr;  // where it is held
  link::Exec exec_;
  AttemptPhase phase_ = AttemptPhase::kArrived;
  std::uint64_t order_ = 0;      // of arrival
  std::int64_t expires_us_ = 0;  // on the monotonic clock; 0: never
  std::uint64_t machine_ = 0;
  std::uint32_t container_ = 0;
  bool counted_ = false;
  StartPath path_ = StartPath::kNone;
  Why why_;
  Time run_sent_;
  // Publishing:
  link::Done done_;      // what is told once the record is durable
  SharedRecord record_;  // kept for another try
  std::int64_t publishing_since_us_ = 0;
  std::uint64_t token_ = 0;    // of the Publish that is not answered; 0: there is none
  std::int64_t again_us_ = 0;  // when it is tried again; 0: it is not waiting for that
  bool to_undeliverable_ = false;
  bool shrunk_ = false;  // its output was left out, because no topic takes it
};

}  // namespace hearth::executor
