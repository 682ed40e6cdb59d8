// How many of what comes at random come at most: the sizing of pools, in the executor and for people. Pure.
#pragma once

#include <cstdint>

namespace hearth {

// The least n ≤ `most` with P(X ≤ n) ≥ `probability` for X of a Poisson distribution with the mean `expected`; `most`
// where no smaller n does. A mean that is not positive, or not a number, gives 0. `probability` lies in [0, 1).
std::int32_t PoissonQuantile(double expected, double probability, std::int32_t most);

// How many ready machines keep the wait of `probability` of the requests below `wish_ms`, where each that is taken is
// replaced within `refill_ms`: a request waits longer exactly if as many came within (refill − wish) before it. 0 where
// a replacement is soon enough anyway.
std::int32_t MachinesForWait(double per_second, double refill_ms, double wish_ms, double probability,
                             std::int32_t most);

}  // namespace hearth
