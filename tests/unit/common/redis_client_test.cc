#include "common/redis/client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <future>
#include <vector>

#include "common/base/fd.h"

namespace hearth::redis {
namespace {

constexpr int kDialled = 8;  // more than a queue of one takes
constexpr std::int64_t kPatienceMs = 20'000;

// A port whose queue is full: who dials it gets neither a connection nor a refusal.
struct DeafPort {
  DeafPort() : listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listener.get(), raw, size), 0);
    EXPECT_EQ(listen(listener.get(), 0), 0);
    EXPECT_EQ(getsockname(listener.get(), raw, &size), 0);
    for (int i = 0; i < kDialled; ++i) {
      dialled.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      connect(dialled.back().get(), raw, size);
    }
  }
  [[nodiscard]] std::string Name() const { return "tcp:127.0.0.1:" + std::to_string(ntohs(address.sin_port)); }

  sockaddr_in address{};
  Fd listener;
  std::vector<Fd> dialled;
};

// Without a limit of its own the client waited as long as the kernel tries, for more than two minutes.
TEST(RedisClient, AConnectionThatDoesNotComeAboutIsGivenUpAndTriedAgain) {
  const DeafPort port;
  Loop loop;
  int lost = 0;
  std::string reason;
  Client client(loop, port.Name(), [&](bool up, const std::string& why) {
    EXPECT_FALSE(up);
    reason = why;
    if (++lost == 2) loop.Stop();
  });
  Timer patience(loop, [&loop] { loop.Stop(); });
  patience.StartOnce(kPatienceMs);
  loop.Run();
  EXPECT_EQ(lost, 2) << "given up, dialled anew, given up again";
  EXPECT_NE(reason.find("no connection"), std::string::npos) << reason;
}

// Ends the loop at the first word of the client, and tells it.
std::string FirstReason(const std::string& address, Lookup lookup) {
  Loop loop;
  std::string reason;
  const Client client(
      loop, address,
      [&](bool up, const std::string& why) {
        EXPECT_FALSE(up);
        reason = why;
        loop.Stop();
      },
      {}, lookup);
  Timer patience(loop, [&loop] { loop.Stop(); });
  patience.StartOnce(kPatienceMs);
  loop.Run();
  return reason;
}

TEST(RedisClient, AHostNameIsLookedUpAndItsAddressDialled) {
  const auto reason = FirstReason("tcp:redis.test:1", [](const Address& address) -> Result<Endpoints> {
    EXPECT_EQ(address.host, "redis.test");
    return Endpoints{*NumericEndpoint({.host = "127.0.0.1", .port = address.port})};
  });
  EXPECT_NE(reason.find("redis at tcp:redis.test:1: Connection refused"), std::string::npos) << reason;
}

TEST(RedisClient, AHostNameThatNobodyKnowsIsTold) {
  const auto reason = FirstReason("redis.test:1", [](const Address& address) -> Result<Endpoints> {
    return Fail(Code::kNotFound, "no host is known by the name '" + address.host + "'");
  });
  EXPECT_EQ(reason, "redis at redis.test:1: no host is known by the name 'redis.test'");
}

TEST(RedisClient, ALookupThatDoesNotEndIsTold) {
  // Never destroyed: the lookup's thread may outlive the test.
  static auto& end = *new std::promise<void>;
  static auto& ended = *new std::shared_future<void>(end.get_future().share());
  const auto reason = FirstReason("redis.test:1", [](const Address&) -> Result<Endpoints> {
    ended.wait();
    return Fail(Code::kUnavailable, "too late");
  });
  EXPECT_NE(reason.find("the name is looked up, without an answer"), std::string::npos) << reason;
  end.set_value();
}

}  // namespace
}  // namespace hearth::redis
