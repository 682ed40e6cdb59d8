// Numbers that look random and are the same for the same seed.
#pragma once

#include <cstdint>

#include "dispatcher/core/settings.h"

namespace hearth::dispatcher {

// One round of splitmix64: enough to spread retries.
constexpr std::uint64_t Mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15ULL;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

// How long the invocation of that serial number waits after so many failed tries: four times as long after each, spread
// from three quarters to five quarters.
std::int64_t RetryWaitMs(const Settings& settings, std::uint64_t serial, std::int32_t failed_tries);

}  // namespace hearth::dispatcher
