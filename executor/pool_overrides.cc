#include "executor/pool_overrides.h"

#include <algorithm>
#include <utility>

namespace hearth::executor {

PoolOverrides::PoolOverrides(ExecutorId self, const std::vector<Profile>& configured) : self_(std::move(self)) {
  for (const auto& profile : configured) {
    configured_[profile.name] = {profile.pool_min, profile.pool_max, profile.shells};
  }
}

Result<std::optional<PoolChanged>> PoolOverrides::Apply(const std::string& key, const std::string& value) {
  const auto parsed = ParsePoolKey(key);
  if (!parsed) {
    if (parsed.error().code == Code::kNotFound) return std::nullopt;
    return std::unexpected(parsed.error());
  }
  const auto configured = configured_.find(parsed->profile);
  if (configured == configured_.end()) return std::nullopt;
  if (!parsed->executor.empty() && parsed->executor != self_) return std::nullopt;
  if (value.empty()) {
    set_.erase(*parsed);
  } else {
    const auto settings = DecodePoolSettings(value);
    if (!settings) return std::unexpected(settings.error());
    set_[*parsed] = *settings;
  }
  PoolSettings now = configured->second;
  for (const auto& scope : {PoolKey{parsed->profile, ExecutorId()}, PoolKey{parsed->profile, self_}}) {
    if (const auto found = set_.find(scope); found != set_.end()) now = Override(now, found->second);
  }
  return PoolChanged{parsed->profile, now.min, std::max(now.min, now.max), now.shells};
}

}  // namespace hearth::executor
