#include "schemas/usage.h"

#include "schemas/codec.h"
#include "schemas/describe.h"

namespace hearth {

constexpr std::int32_t kUsageFormat = 1;

struct VersionedUsage {
  std::int32_t v = kUsageFormat;
  Usage usage;
};
template <class A>
void Describe(A& a, VersionedUsage& m) {
  auto& u = m.usage;
  a("v", m.v)("id", u.id)("user", u.user)("fn", u.function)("version", u.version)("attempt", u.attempt)(
      "status", u.status)("start_path", u.start_path)("started_us", u.started_us)("ended_us", u.ended_us)(
      "billed_ms", u.billed_ms)("memory_mib", u.memory_mib)("memory_peak_bytes", u.memory_peak_bytes)(
      "cpu_us", u.cpu_us)("executor", u.executor)("instance", u.machine);
}

std::string EncodeUsage(const Usage& usage) {
  std::string bytes;
  codec::Encode<codec::Layout::kMap>(bytes, VersionedUsage{kUsageFormat, usage});
  return bytes;
}

Result<Usage> DecodeUsage(std::string_view bytes) {
  auto decoded = codec::Decode<codec::Layout::kMap, VersionedUsage>(bytes);
  if (!decoded) return FailWith("usage", decoded.error());
  if (decoded->v > kUsageFormat) return Fail(Code::kInvalid, "usage: written by a newer hearth");
  if (decoded->usage.id.empty()) return Fail(Code::kInvalid, "usage: field 'id' is absent");
  return std::move(decoded->usage);
}

}  // namespace hearth
