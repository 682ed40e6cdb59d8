#include "schemas/pool_settings.h"

#include "schemas/codec.h"
#include "schemas/request.h"

namespace hearth {
namespace {
constexpr std::int32_t kFormatVersion = 1;
constexpr std::string_view kPrefix = "pool/";
}  // namespace

struct VersionedPoolSettings {
  std::int32_t v = kFormatVersion;
  PoolSettings settings;
};
template <class A>
void Describe(A& a, VersionedPoolSettings& m) {
  a("v", m.v)("min", m.settings.min)("max", m.settings.max)("shells", m.settings.shells);
}

std::string FormatPoolKey(const PoolKey& key) {
  std::string text = std::string(kPrefix) + key.profile;
  if (!key.executor.empty()) text += "/" + key.executor.str();
  return text;
}

Result<PoolKey> ParsePoolKey(std::string_view key) {
  if (!key.starts_with(kPrefix)) return Fail(Code::kNotFound, "no pool's setting");
  key.remove_prefix(kPrefix.size());
  const auto slash = key.find('/');
  PoolKey parsed{std::string(key.substr(0, slash)), ExecutorId()};
  if (!IsIdentifier(parsed.profile)) return Fail(Code::kInvalid, "pool: profile must be 1 to 128 of [A-Za-z0-9._-]");
  if (slash == std::string_view::npos) return parsed;
  parsed.executor = ExecutorId(key.substr(slash + 1));
  if (!IsIdentifier(parsed.executor.value))
    return Fail(Code::kInvalid, "pool: executor must be 1 to 128 of [A-Za-z0-9._-]");
  return parsed;
}

std::string EncodePoolSettings(const PoolSettings& settings) {
  std::string bytes;
  codec::Encode<codec::Layout::kMap>(bytes, VersionedPoolSettings{kFormatVersion, settings});
  return bytes;
}

Result<PoolSettings> DecodePoolSettings(std::string_view bytes) {
  auto decoded = codec::Decode<codec::Layout::kMap, VersionedPoolSettings>(bytes);
  if (!decoded) return FailWith("pool", decoded.error());
  if (decoded->v > kFormatVersion)
    return Fail(Code::kInvalid, "pool: written by a newer hearth (v " + std::to_string(decoded->v) + ")");
  if (auto valid = ValidatePoolSettings(decoded->settings); !valid) return std::unexpected(valid.error());
  return decoded->settings;
}

Result<void> ValidatePoolSettings(const PoolSettings& settings) {
  const auto outside = [](std::int32_t value) { return value != kPoolUnset && (value < 0 || value > kMaxPoolSetting); };
  const auto most = std::to_string(kMaxPoolSetting);
  if (outside(settings.min)) return Fail(Code::kInvalid, "pool: min must be from 0 to " + most);
  if (outside(settings.max)) return Fail(Code::kInvalid, "pool: max must be from 0 to " + most);
  if (outside(settings.shells)) return Fail(Code::kInvalid, "pool: shells must be from 0 to " + most);
  if (settings.max != kPoolUnset && settings.min > settings.max)
    return Fail(Code::kInvalid, "pool: max must not be less than min");
  return {};
}

PoolSettings Override(const PoolSettings& under, const PoolSettings& over) {
  const auto pick = [](std::int32_t below, std::int32_t above) { return above == kPoolUnset ? below : above; };
  return {pick(under.min, over.min), pick(under.max, over.max), pick(under.shells, over.shells)};
}

}  // namespace hearth
