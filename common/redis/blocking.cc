#include "common/redis/blocking.h"

#include <hiredis/hiredis.h>

#include "common/base/handle.h"

namespace hearth::redis {

void BlockingClient::Free::operator()(redisContext* context) const noexcept {
  redisFree(context);
}
BlockingClient::BlockingClient(BlockingClient&&) noexcept = default;
BlockingClient& BlockingClient::operator=(BlockingClient&&) noexcept = default;
BlockingClient::~BlockingClient() = default;

Result<BlockingClient> BlockingClient::Connect(const std::string& address, std::int64_t timeout_ms,
                                               const Credentials& credentials) {
  const auto where = ParseAddress(address, kRedisAddress);
  if (!where) return FailWith("redis at " + address, where.error());
  const timeval timeout{timeout_ms / 1000, (timeout_ms % 1000) * 1000};
  redisContext* context = where->is_unix() ? redisConnectUnixWithTimeout(where->path.c_str(), timeout)
                                           : redisConnectWithTimeout(where->host.c_str(), where->port, timeout);
  if (context == nullptr) return Fail(Code::kInternal, "redis: no memory");
  BlockingClient client(context);
  if (context->err != 0) return Fail(Code::kUnavailable, "redis at " + address + ": " + context->errstr);
  redisSetTimeout(context, timeout);
  if (credentials.user.empty()) return client;
  if (auto in = client.Command({"AUTH", credentials.user, credentials.password}); !in)
    return std::unexpected(in.error());
  return client;
}

Result<Value> BlockingClient::Command(const std::vector<std::string>& words) {
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  for (const auto& word : words) {
    texts.push_back(word.data());
    sizes.push_back(word.size());
  }
  const std::unique_ptr<redisReply, Deleter<freeReplyObject>> reply(static_cast<redisReply*>(
      redisCommandArgv(context_.get(), static_cast<int>(words.size()), texts.data(), sizes.data())));
  if (!reply) return Fail(Code::kUnavailable, std::string("redis: ") + context_->errstr);
  auto value = ToValue(reply.get());
  if (value.kind == Value::Kind::kError) return Fail(Code::kInvalid, "redis: " + value.text);
  return value;
}

}  // namespace hearth::redis
