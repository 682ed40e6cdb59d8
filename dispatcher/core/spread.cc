#include "dispatcher/core/spread.h"

#include "schemas/limits.h"

namespace hearth::dispatcher {

std::int64_t RetryWaitMs(const Settings& settings, std::uint64_t serial, std::int32_t failed_tries) {
  std::int64_t wait_ms = settings.retry_base_ms;
  for (std::int32_t i = 1; i < failed_tries && wait_ms < kDefaultMaxAgeMs; ++i) wait_ms *= 4;
  const auto spread = static_cast<std::uint64_t>(wait_ms / 2 + 1);
  const std::uint64_t noise = Mix(settings.seed ^ Mix(serial) ^ static_cast<std::uint64_t>(failed_tries));
  return wait_ms - wait_ms / 4 + static_cast<std::int64_t>(noise % spread);
}

}  // namespace hearth::dispatcher
