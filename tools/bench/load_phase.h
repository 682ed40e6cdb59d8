// One phase of a load: records sent with a fixed number of them under way (closed), or at a fixed rate whatever comes
// back (open), and how long each took.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "common/base/result.h"
#include "schemas/record.h"
#include "tools/bench/histogram.h"
#include "tools/bench/load_client.h"

namespace hearth::bench {

struct PhaseOptions {
  std::string prefix;  // of the ids, unlike that of any other phase
  double seconds = 10;
  std::uint64_t count = 0;  // so many at most; 0: as many as the time allows
  int in_flight = 64;       // closed
  double rate = 0;          // a second, open; 0: closed
  // The record with that id, the `number`th of the phase, from 0 on. Ids are the prefix and the number.
  std::function<OutRecord(const std::string& id, std::uint64_t number)> make;
  // Called between two records now and then, with how many were answered; may be empty.
  std::function<void(std::uint64_t answered)> progress;
};

struct PhaseFigures {
  std::uint64_t sent = 0;
  std::uint64_t answered = 0;  // once at least
  std::uint64_t repeated = 0;  // answers beyond the first
  double seconds = 0;          // from the first record to the last answer
  // In the open loop from when the record was to be sent: what waited for the one before counts with its wait.
  Histogram latency;
  std::map<std::string, std::uint64_t, std::less<>> statuses;  // of answers; the echo's are empty

  [[nodiscard]] double throughput() const { return seconds > 0 ? static_cast<double>(answered) / seconds : 0; }
  [[nodiscard]] std::uint64_t lost() const { return sent - answered; }
  void Add(const PhaseFigures& other);
};

// What is not answered kDrainMs after the last record was sent is lost. kUnavailable: nothing can be sent, or the bench
// was told to end.
constexpr std::int64_t kDrainMs = 60'000;
Result<PhaseFigures> RunPhase(LoadClient& client, const PhaseOptions& options);

}  // namespace hearth::bench
