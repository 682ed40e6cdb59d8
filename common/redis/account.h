// The account of Redis that a daemon (redis.user and redis.password_file in its configuration) or a command line logs
// in to.
#pragma once

#include <cstddef>
#include <string>

#include "common/base/result.h"

namespace hearth {
class ConfigReader;
}

namespace hearth::redis {

constexpr std::size_t kMaxPasswordBytes = 4096;

// Without a user the connection stays what it is.
struct Credentials {
  std::string user;
  std::string password;
};

// The file's first line. kInvalid: it cannot be read, or that line is empty or too long.
Result<std::string> ReadPassword(const std::string& file);

// Faults are rejected with the reader.
Credentials ReadCredentials(ConfigReader& reader);

}  // namespace hearth::redis
