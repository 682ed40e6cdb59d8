#include "common/redis/client.h"

#include <fmt/format.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include <utility>

#include "common/base/time.h"
#include "common/redis/watch.h"

namespace hearth::redis {
namespace {

constexpr std::int64_t kCheckPeriodMs = 50;
constexpr std::int64_t kPingPeriodUs = 250'000;

}  // namespace

Value ToValue(const redisReply* reply) {
  Value value;
  if (reply == nullptr) return value;
  switch (reply->type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      value.kind = Value::Kind::kText;
      value.text.assign(reply->str, reply->len);
      break;
    case REDIS_REPLY_ERROR:
      value.kind = Value::Kind::kError;
      value.text.assign(reply->str, reply->len);
      break;
    case REDIS_REPLY_INTEGER:
      value.kind = Value::Kind::kInteger;
      value.integer = reply->integer;
      break;
    case REDIS_REPLY_ARRAY:
      value.kind = Value::Kind::kArray;
      for (std::size_t i = 0; i < reply->elements; ++i) value.elements.push_back(ToValue(reply->element[i]));
      break;
    default: break;
  }
  return value;
}

struct Client::Call {
  Client* client;
  Answered answered;
};

Client::Client(Loop& loop, std::string address, std::function<void(bool, std::string)> on_state,
               Credentials credentials, Lookup lookup)
    : loop_(loop),
      address_(std::move(address)),
      credentials_(std::move(credentials)),
      on_state_(std::move(on_state)),
      resolver_(loop, lookup),
      check_(loop, [this] { Check(); }) {
  check_.StartEvery(kCheckPeriodMs);
  Connect();
}

Client::~Client() {
  closing_ = true;
  check_.Cancel();
  if (auto* context = std::exchange(context_, nullptr)) redisAsyncFree(context);
}

void Client::Connect() {
  next_connect_us_ = ReadClocks().mono_us + kRedisReconnectMs * kMicrosPerMilli;
  const auto address = ParseAddress(address_, kRedisAddress);
  if (!address) return on_state_(false, "redis at " + address_ + ": " + address.error().message);
  if (address->is_unix()) return Attach(redisAsyncConnectUnix(address->path.c_str()));
  looking_up_ = true;
  oldest_wait_us_ = ReadClocks().mono_us;
  resolver_.Resolve(*address, [this, port = address->port](Result<Endpoints> names) {
    looking_up_ = false;
    oldest_wait_us_ = 0;
    next_connect_us_ = ReadClocks().mono_us + kRedisReconnectMs * kMicrosPerMilli;
    if (!names) return on_state_(false, "redis at " + address_ + ": " + names.error().message);
    Attach(redisAsyncConnect((*names)[tries_++ % names->size()].host().c_str(), port));
  });
}

void Client::Attach(redisAsyncContext* context) {
  if (context == nullptr || context->err != 0) {
    const std::string reason = context == nullptr ? "no memory" : context->errstr;
    if (context != nullptr) redisAsyncFree(context);
    on_state_(false, "redis at " + address_ + ": " + reason);
    return;
  }
  context->data = this;
  if (!WatchSocket(loop_, context)) {
    redisAsyncFree(context);
    on_state_(false, "redis at " + address_ + ": the loop does not take its socket");
    return;
  }
  context_ = context;
  connecting_ = true;
  oldest_wait_us_ = ReadClocks().mono_us;
  redisAsyncSetDisconnectCallback(context, [](const redisAsyncContext* raw, int) {
    auto* self = static_cast<Client*>(raw->data);
    if (self->closing_ || self->context_ != raw) return;
    self->context_ = nullptr;  // hiredis frees it after this callback
    self->Lost(raw->err != 0 ? raw->errstr : "the connection ended");
  });
  redisAsyncSetConnectCallback(context, [](const redisAsyncContext* raw, int status) {
    auto* self = static_cast<Client*>(raw->data);
    if (self->closing_ || self->context_ != raw) return;
    if (status != REDIS_OK) {
      self->context_ = nullptr;  // hiredis frees it after this callback
      return self->Lost(raw->errstr);
    }
    self->connecting_ = false;
    self->oldest_wait_us_ = 0;
    const Credentials& own = self->credentials_;
    if (!own.user.empty()) {
      self->Command({"AUTH", own.user, own.password}, [self](Result<Value> answer) {
        if (answer && answer->kind == Value::Kind::kError)
          self->Lost("it refuses the account (redis.user, redis.password_file): " + answer->text);
      });
    }
    self->Command({"PING"}, [self](Result<Value> answer) {
      if (!answer) return;
      if (answer->kind == Value::Kind::kError) {
        const bool anonymous = self->credentials_.user.empty() && answer->text.starts_with("NOAUTH");
        return self->Lost(answer->text + (anonymous ? " Set redis.user and redis.password_file" : ""));
      }
      if (std::exchange(self->up_, true)) return;
      self->on_state_(true, "");
    });
  });
}

void Client::Lost(const std::string& reason) {
  const std::string why = "redis at " + address_ + ": " + reason;  // the reason may live in what is freed here
  up_ = false;
  overdue_ = false;
  oldest_wait_us_ = 0;
  if (auto* context = std::exchange(context_, nullptr)) redisAsyncFree(context);  // fails what is pending
  on_state_(false, why);
}

bool Client::Overdue(std::int64_t now_us) const {
  const std::int64_t limit_ms = connecting_ || looking_up_ ? kRedisConnectMs : kRedisTimeoutMs;
  return oldest_wait_us_ != 0 && now_us - oldest_wait_us_ > limit_ms * kMicrosPerMilli;
}

void Client::Check() {
  const auto now_us = ReadClocks().mono_us;
  if (looking_up_) {
    if (!Overdue(now_us)) return;
    oldest_wait_us_ = now_us;
    return on_state_(false, fmt::format("redis at {}: the name is looked up, without an answer for {} ms", address_,
                                        kRedisConnectMs));
  }
  if (context_ == nullptr) {
    if (now_us >= next_connect_us_) Connect();
    return;
  }
  // Two looks in a row: between them the socket was read. A loop that was itself held up finds what came meanwhile.
  if (std::exchange(overdue_, Overdue(now_us)) && overdue_) {
    return Lost(connecting_ ? "no connection in " + std::to_string(kRedisConnectMs) + " ms"
                            : "no answer for " + std::to_string(kRedisTimeoutMs) + " ms");
  }
  if (up_ && pending_ == 0 && now_us >= next_connect_us_ + kPingPeriodUs) {
    next_connect_us_ = now_us;
    Command({"PING"}, nullptr);
  }
}

void Client::Command(const std::vector<std::string>& words, Answered answered) {
  if (context_ == nullptr || pending_ >= kMaxPendingCommands) {
    if (answered) {
      answered(Fail(context_ == nullptr ? Code::kUnavailable : Code::kExhausted,
                    context_ == nullptr ? "redis is away" : "too many commands wait for redis"));
    }
    return;
  }
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  for (const auto& word : words) {
    texts.push_back(word.data());
    sizes.push_back(word.size());
  }
  auto* call = new Call{this, std::move(answered)};  // freed by the reply callback, which hiredis always calls
  const auto replied = [](redisAsyncContext*, void* reply, void* opaque) {
    const std::unique_ptr<Call> owned(static_cast<Call*>(opaque));
    auto* self = owned->client;
    --self->pending_;
    self->oldest_wait_us_ = self->pending_ == 0 ? 0 : ReadClocks().mono_us;
    if (!owned->answered || self->closing_) return;
    if (reply == nullptr) return owned->answered(Fail(Code::kUnavailable, "redis: the connection was lost"));
    owned->answered(ToValue(static_cast<redisReply*>(reply)));
  };
  ++pending_;
  ++commands_sent_;
  if (oldest_wait_us_ == 0) oldest_wait_us_ = ReadClocks().mono_us;
  if (redisAsyncCommandArgv(context_, replied, call, static_cast<int>(words.size()), texts.data(), sizes.data()) !=
      REDIS_OK) {
    --pending_;
    const std::unique_ptr<Call> owned(call);
    if (owned->answered) owned->answered(Fail(Code::kUnavailable, "redis: the connection is closing"));
  }
}

}  // namespace hearth::redis
