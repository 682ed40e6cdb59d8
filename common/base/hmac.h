// Proofs that only somebody who knows a key can make.
#pragma once

#include <string>
#include <string_view>

namespace hearth {

// HMAC-SHA256, in lower-case hex.
std::string HmacSha256Hex(std::string_view key, std::string_view bytes);
// The time that it takes depends on the sizes alone.
bool EqualInConstantTime(std::string_view a, std::string_view b);

}  // namespace hearth
