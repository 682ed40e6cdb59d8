// Who a container says it is: made of the machine it is in and its number there, so that no two containers of any two
// machines share it, clones of one template included.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hearth::guest {

struct Identity {
  std::string machine_id;  // 32 hex digits, as /etc/machine-id has them
  std::string hostname;
};

// `secret` is what Configure brought and mixed: the machine's id and its nonce. Nothing of it can be computed back.
Identity MakeIdentity(std::string_view secret, std::uint32_t container);

}  // namespace hearth::guest
