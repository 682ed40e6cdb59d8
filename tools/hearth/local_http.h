// One GET: over a Unix socket of this host, or of a daemon's status page.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/result.h"

namespace hearth::tool {

constexpr std::size_t kMaxLocalAnswerBytes = 256U << 10;

struct LocalAnswer {
  int status = 0;
  std::string body;
};
// Asks for `folder` + `name`, where `name` is any text: it is sent as one part of the path. `address` is unix:PATH.
// kNotFound: no such socket on this host; kUnavailable: nobody answers, not in time, or too much.
Result<LocalAnswer> GetLocally(const std::string& address, const std::string& folder, const std::string& name,
                               std::int64_t timeout_ms);

// The page of a daemon. `address` is HOST:PORT or unix:PATH. kInvalid: it is none; kUnavailable: as above, and there is
// no such socket.
Result<LocalAnswer> GetPage(const std::string& address, const std::string& path, std::int64_t timeout_ms);

}  // namespace hearth::tool
