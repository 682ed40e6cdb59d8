// What was set for the pools of this executor while it ran (hearth pool set) over what its configuration says.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "executor/core/core.h"
#include "schemas/pool_settings.h"

namespace hearth::executor {

class PoolOverrides {
 public:
  PoolOverrides(ExecutorId self, const std::vector<Profile>& configured);
  // A record of hearth.settings. The event for the core, or nothing where this executor is not concerned; kInvalid: the
  // record cannot be read, and what was set before stands.
  Result<std::optional<PoolChanged>> Apply(const std::string& key, const std::string& value);

 private:
  const ExecutorId self_;
  std::map<std::string, PoolSettings> configured_;  // by profile
  std::map<PoolKey, PoolSettings> set_;
};

}  // namespace hearth::executor
