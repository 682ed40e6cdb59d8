// Where something listens or is dialled: a Unix socket or a TCP port, as configurations and Redis write it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace hearth {

constexpr std::size_t kMaxSocketPathBytes = 107;  // what a socket address holds, without the closing zero

struct Address {
  std::string path{};  // of the Unix socket; empty: TCP
  std::string host{};  // a name or a number, as it was written
  int port = 0;        // 0: a free one, where something listens

  [[nodiscard]] bool is_unix() const { return !path.empty(); }
  [[nodiscard]] bool is_wildcard() const { return host == "0.0.0.0" || host == "::"; }  // every address of this host
  friend bool operator==(const Address&, const Address&) = default;
};

// What is understood besides unix:PATH and tcp:HOST:PORT.
struct AddressForms {
  bool bare = false;      // HOST:PORT is tcp:HOST:PORT
  int default_port = -1;  // for a HOST alone; negative: the port must be written
};

// kInvalid: the text is none of these, the path is empty or too long, or the port is not one from 0 to 65535. The
// message does not repeat the text. The host is not looked up.
Result<Address> ParseAddress(std::string_view text, AddressForms forms = {});

}  // namespace hearth
