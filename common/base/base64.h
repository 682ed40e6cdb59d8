// Base64 with the standard alphabet, padded (RFC 4648, 4).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hearth {

std::string Base64Encode(std::string_view bytes);
// Nothing where it is not base64.
std::optional<std::string> Base64Decode(std::string_view text);

}  // namespace hearth
