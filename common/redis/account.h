// The account of Redis in a daemon's configuration: redis.user and redis.password_file.
#pragma once

#include <cstddef>
#include <string>

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

// Faults are rejected with the reader. The file's first line is the password.
Credentials ReadCredentials(ConfigReader& reader);

}  // namespace hearth::redis
