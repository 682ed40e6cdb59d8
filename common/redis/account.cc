#include "common/redis/account.h"

#include <fstream>
#include <utility>

#include "common/config/reader.h"

namespace hearth::redis {

Result<std::string> ReadPassword(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::string password;
  if (!std::getline(in, password) || password.empty() || password.size() > kMaxPasswordBytes)
    return Fail(Code::kInvalid, "cannot be read, or its first line is empty or too long: " + file);
  return password;
}

Credentials ReadCredentials(ConfigReader& reader) {
  Credentials credentials;
  credentials.user =
      reader.String("redis.user", "", "account of Redis; without one the daemon uses the default account");
  const std::string file = reader.String("redis.password_file", "", "file whose first line is the account's password");
  if (credentials.user.empty() && !file.empty()) reader.Reject("redis.password_file", "needs redis.user");
  if (file.empty()) return credentials;
  auto password = ReadPassword(file);
  if (password)
    credentials.password = std::move(*password);
  else
    reader.Reject("redis.password_file", password.error().message);
  return credentials;
}

}  // namespace hearth::redis
