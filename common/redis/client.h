// A Redis connection on the event loop (hiredis, asynchronous), with the time-outs that hiredis 0.14 lacks: a peer that
// owes an answer for kRedisTimeoutMs is cut off and dialled again with back-off. Never blocks. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/address.h"
#include "common/base/result.h"
#include "common/loop/loop.h"
#include "common/loop/resolver.h"
#include "common/redis/account.h"

struct redisAsyncContext;
struct redisReply;

namespace hearth::redis {

constexpr AddressForms kRedisAddress{.bare = true, .default_port = 6379};
constexpr std::int64_t kRedisTimeoutMs = 250;
constexpr std::int64_t kRedisConnectMs = 2'000;  // for a connection to come about
constexpr std::int64_t kRedisReconnectMs = 500;
constexpr std::size_t kMaxPendingCommands = 50'000;

struct Value {
  enum class Kind : std::uint8_t { kNil, kText, kInteger, kArray, kError };
  Kind kind = Kind::kNil;
  std::string text;
  std::int64_t integer = 0;
  std::vector<Value> elements;
};
Value ToValue(const redisReply* reply);

class Client {
 public:
  using Answered = std::function<void(Result<Value>)>;
  // `on_state` is called with true when a connection is usable and with false and the reason when it is lost.
  // `address`: "unix:PATH" or "tcp:HOST:PORT" (kRedisAddress); one that is none is as a Redis that is away. A host name
  // is looked up for each connection.
  Client(Loop& loop, std::string address, std::function<void(bool up, std::string reason)> on_state,
         Credentials credentials = {}, Lookup lookup = LookUp);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Pipelined. A failure (kUnavailable) means that the outcome is unknown. An error reply of Redis is a Value of
  // kError.
  void Command(const std::vector<std::string>& words, Answered answered);
  [[nodiscard]] bool up() const { return up_; }
  [[nodiscard]] std::size_t pending() const { return pending_; }
  [[nodiscard]] std::int64_t commands_sent() const { return commands_sent_; }

 private:
  struct Call;
  void Connect();
  void Attach(redisAsyncContext* context);
  void Lost(const std::string& reason);
  void Check();
  [[nodiscard]] bool Overdue(std::int64_t now_us) const;

  Loop& loop_;
  std::string address_;
  const Credentials credentials_;
  std::function<void(bool, std::string)> on_state_;
  redisAsyncContext* context_ = nullptr;  // owned by hiredis once attached; freed by redisAsyncFree
  Resolver resolver_;
  Timer check_;
  std::size_t tries_ = 0;  // connections so far: the addresses of a name take turns
  bool looking_up_ = false;
  bool up_ = false;
  bool connecting_ = false;
  bool overdue_ = false;  // at the last look
  bool closing_ = false;
  std::size_t pending_ = 0;
  std::int64_t commands_sent_ = 0;
  std::int64_t oldest_wait_us_ = 0;  // since when the connection, or its coming about, is waited for; 0: nothing is
  std::int64_t next_connect_us_ = 0;
};

}  // namespace hearth::redis
