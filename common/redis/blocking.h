// A blocking Redis connection, for the command line and tests.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/redis/account.h"
#include "common/redis/client.h"

struct redisContext;

namespace hearth::redis {

class BlockingClient {
 public:
  // Logs in where there is a user. kUnavailable: nothing answers; kInvalid: Redis refuses the account.
  static Result<BlockingClient> Connect(const std::string& address, std::int64_t timeout_ms,
                                        const Credentials& credentials = {});
  BlockingClient(BlockingClient&&) noexcept;
  BlockingClient& operator=(BlockingClient&&) noexcept;
  ~BlockingClient();
  // An error reply of Redis is kInvalid.
  Result<Value> Command(const std::vector<std::string>& words);

 private:
  struct Free {
    void operator()(redisContext* context) const noexcept;
  };
  explicit BlockingClient(redisContext* context) : context_(context) {}
  std::unique_ptr<redisContext, Free> context_;
};

}  // namespace hearth::redis
