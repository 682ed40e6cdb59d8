#include "guest/agent/identity.h"

#include <string>

#include "common/base/sha256.h"

namespace hearth::guest {
namespace {

constexpr std::size_t kMachineIdDigits = 32;
constexpr std::size_t kHostnameDigits = 12;
constexpr const char* kHostnamePrefix = "fn-";

}  // namespace

Identity MakeIdentity(std::string_view secret, std::uint32_t container) {
  Sha256 hash;
  hash.Update("machine-id ");
  hash.Update(std::to_string(container));
  hash.Update(" ");
  hash.Update(secret);
  const std::string digits = hash.FinishHex();
  return {digits.substr(0, kMachineIdDigits), kHostnamePrefix + digits.substr(kMachineIdDigits, kHostnameDigits)};
}

}  // namespace hearth::guest
