// What the loud user of a flood sends: one plan for each case of `bench flood --case`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/record.h"
#include "tools/bench/load_functions.h"

namespace hearth::bench {

enum class FloodCase : std::uint8_t {
  kPlain,        // random keys, and nothing else that is odd
  kUnplaceable,  // for a function whose profile no executor has
  kConcurrency,  // for a function of which one attempt may run at once
  kFailing,      // every attempt fails; simulated machines only
  kUsers,        // of very many users, kRecordsOfUser each
  kLarge,        // of nearly the size that hearth takes
  kKeyed,        // all with order keys, of kOrderKeys values
};

constexpr int kRecordsOfUser = 10;
constexpr int kOrderKeys = 8;
constexpr int kLargePayload = (1 << 20) - 1024;

// The case of that name; nothing where there is none.
std::optional<FloodCase> FindFloodCase(std::string_view name);
std::vector<std::string> FloodCaseNames();

struct FloodPlanOptions {
  FloodCase which = FloodCase::kPlain;
  int records = 0;
  int payload = 0;       // bytes of each
  double expires_s = 0;  // after which a record expires, counted from when it is made; 0: never
  std::string prefix;    // of every id
};

// Which functions a case needs, and each record of it. Constant once it is made; any thread.
class FloodPlan {
 public:
  explicit FloodPlan(FloodPlanOptions options);
  [[nodiscard]] const std::vector<LoadFunction>& functions() const { return functions_; }
  // The function that is invoked before the flood, so that every one that was deployed before it is known; nothing
  // where none of them can be placed.
  [[nodiscard]] std::optional<LoadFunction> warm() const;
  // `number` counts from 0.
  [[nodiscard]] OutRecord Make(int number) const;
  // The number that an id of this plan has; nothing where the id is another's.
  [[nodiscard]] std::optional<std::size_t> NumberOf(std::string_view id) const;
  // "with random keys from one user", for people.
  [[nodiscard]] std::string what() const;
  // Whether the flood is left unanswered on purpose.
  [[nodiscard]] bool waits() const { return options_.which == FloodCase::kUnplaceable; }
  [[nodiscard]] int users() const { return static_cast<int>(functions_.size()); }
  [[nodiscard]] std::size_t payload_bytes() const { return payload_.size(); }

 private:
  FloodPlanOptions options_;
  std::vector<LoadFunction> functions_;  // each of another user
  std::string payload_;
};

}  // namespace hearth::bench
