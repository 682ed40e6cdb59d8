// How an executor divides its credit over the dispatchers that are connected. A pure function.
//
// Each dispatcher is told what it may hold: all that the others neither hold nor are owed. Owed is
// - who has users that want a place: its part of the credit, by the number of those users;
// - who has none: a little, so that its next request finds a place at once.
// So one dispatcher alone may use all, and a flood at one never takes what another one's users want.
#pragma once

#include <cstdint>
#include <vector>

namespace hearth::executor {

// Kept for all dispatchers together whose users want nothing now.
constexpr std::int32_t kUnwantedPart = 8;  // one eighth of the credit

struct DispatcherUse {
  std::int64_t wanting = 0;  // users that want a place
  std::int32_t active = 0;   // attempts of it that take a place
};

// What each may hold, in the order given. `credit`: places there are.
[[nodiscard]] std::vector<std::int32_t> DivideCredit(std::int32_t credit, const std::vector<DispatcherUse>& uses);

}  // namespace hearth::executor
