#include "common/redis/account.h"

#include <fstream>

#include "common/config/reader.h"

namespace hearth::redis {

Credentials ReadCredentials(ConfigReader& reader) {
  Credentials credentials;
  credentials.user = reader.String("redis.user", "");
  const std::string file = reader.String("redis.password_file", "");
  if (credentials.user.empty() && !file.empty()) reader.Reject("redis.password_file", "needs redis.user");
  if (file.empty()) return credentials;
  std::ifstream in(file, std::ios::binary);
  if (!std::getline(in, credentials.password) || credentials.password.size() > kMaxPasswordBytes) {
    credentials.password.clear();
    reader.Reject("redis.password_file", "cannot be read, or its first line is empty or too long: " + file);
  }
  return credentials;
}

}  // namespace hearth::redis
