// How much of a profile to hold, set while executors run: records of the compacted topic hearth.settings under the key
// "pool/<profile>" (every executor) or "pool/<profile>/<executor>". An empty value unsets. What is set overrides the
// executors' configuration, field by field, and the record of one executor that of all.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace hearth {

constexpr std::int32_t kPoolUnset = -1;
constexpr std::int32_t kMaxPoolSetting = 1000;

struct PoolSettings {
  std::int32_t min = kPoolUnset;     // unassigned machines
  std::int32_t max = kPoolUnset;     // the same, however much demand there is
  std::int32_t shells = kPoolUnset;  // behind them
  friend bool operator==(const PoolSettings&, const PoolSettings&) = default;
};

struct PoolKey {
  std::string profile;
  ExecutorId executor;  // empty: every one
  friend auto operator<=>(const PoolKey&, const PoolKey&) = default;
};

std::string FormatPoolKey(const PoolKey& key);
Result<PoolKey> ParsePoolKey(std::string_view key);  // kNotFound: the key of some other setting

std::string EncodePoolSettings(const PoolSettings& settings);     // msgpack map, "v" = 1
Result<PoolSettings> DecodePoolSettings(std::string_view bytes);  // decodes and validates
Result<void> ValidatePoolSettings(const PoolSettings& settings);
// What is set in `over` replaces what `under` says.
PoolSettings Override(const PoolSettings& under, const PoolSettings& over);

}  // namespace hearth
