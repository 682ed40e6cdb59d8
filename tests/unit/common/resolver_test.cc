// Host names on the loop, and what Dial makes of their addresses. The lookup is the test's own.
#include "common/loop/resolver.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/base/fd.h"
#include "common/loop/stream.h"

namespace hearth {
namespace {

constexpr std::int64_t kPatienceMs = 20'000;

Endpoint Numeric(const char* host, int port) {
  return *NumericEndpoint({.host = host, .port = port});
}

Result<Endpoints> Nobody(const Address& address) {
  return Fail(Code::kNotFound, "no host is known by the name '" + address.host + "'");
}

// A lookup that ends when the test says so. What its threads wait for is never destroyed: they may outlive the test.
class Hanging {
 public:
  static Result<Endpoints> Look(const Address& address) {
    ended().wait();
    return Endpoints{Numeric("127.0.0.1", address.port)};
  }
  static std::promise<void>& end() {
    static auto& promise = *new std::promise<void>;
    return promise;
  }

 private:
  static std::shared_future<void>& ended() {
    static auto& future = *new std::shared_future<void>(end().get_future().share());
    return future;
  }
};

TEST(Resolver, NumbersAndLocalhostAreNotLookedUp) {
  Loop loop;
  Resolver resolver(loop, Nobody);
  for (const auto& [host, number] : {std::pair("10.1.2.3", "10.1.2.3"), {"localhost", "127.0.0.1"}, {"::1", "::1"}}) {
    std::string found;
    resolver.Resolve({.host = host, .port = 7}, [&](Result<Endpoints> names) {
      ASSERT_TRUE(names) << names.error().message;
      found = names->front().host();
    });
    EXPECT_EQ(found, number);
  }
}

TEST(Resolver, ALookupThatHangsHoldsNeitherTheLoopNorItsEndUp) {
  auto loop = std::make_unique<Loop>();
  auto resolver = std::make_unique<Resolver>(*loop, Hanging::Look);
  int answers = 0;
  std::string beyond;
  for (std::size_t i = 0; i < kMaxLookups; ++i) {
    resolver->Resolve({.host = "hangs.test", .port = 7}, [&](Result<Endpoints>) { ++answers; });
  }
  resolver->Resolve({.host = "one-more.test", .port = 7}, [&](Result<Endpoints> names) {
    ASSERT_FALSE(names);
    EXPECT_EQ(names.error().code, Code::kExhausted);
    beyond = names.error().message;
  });
  EXPECT_NE(beyond.find("one-more.test"), std::string::npos) << beyond;
  int turns = 0;
  Timer timer(*loop, [&] {
    if (++turns == 10) loop->Stop();
  });
  timer.StartEvery(1);
  loop->Run();
  EXPECT_EQ(turns, 10);
  EXPECT_EQ(answers, 0);
  resolver.reset();
  Hanging::end().set_value();  // the answers come to a loop that nobody listens to, or that is gone
}

class DialTest : public testing::Test {
 protected:
  void SetUp() override {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    ASSERT_EQ(bind(listener_.get(), raw, size), 0);
    ASSERT_EQ(listen(listener_.get(), 8), 0);
    ASSERT_EQ(getsockname(listener_.get(), raw, &size), 0);
    port_ = ntohs(address.sin_port);
  }

  Result<void> DialName(const std::string& name, Lookup lookup) {
    Loop loop;
    Resolver resolver(loop, lookup);
    std::optional<Result<void>> outcome;
    Dial(loop, resolver, "tcp:" + name + ":" + std::to_string(port_), [&](Result<std::unique_ptr<FrameStream>> stream) {
      outcome = stream ? Result<void>{} : std::unexpected(stream.error());
    });
    Timer look(loop, [&] {
      if (outcome) loop.Stop();
    });
    Timer patience(loop, [&] { loop.Stop(); });
    look.StartEvery(1);
    patience.StartOnce(kPatienceMs);
    loop.Run();
    return outcome.value_or(Fail(Code::kDeadline, "no answer"));
  }

  Fd listener_{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  int port_ = 0;
};

TEST_F(DialTest, EachAddressOfANameIsTried) {
  const auto dialled = DialName("two.test", [](const Address& address) -> Result<Endpoints> {
    return Endpoints{Numeric("127.0.0.2", address.port), Numeric("127.0.0.1", address.port)};
  });
  EXPECT_TRUE(dialled) << dialled.error().message;
}

TEST_F(DialTest, ANameThatNobodyKnowsIsAsOneWhereNobodyListens) {
  const auto unknown = DialName("nobody.test", Nobody);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::kNotFound);
  EXPECT_EQ(unknown.error().message, "cannot connect to tcp:nobody.test:" + std::to_string(port_) +
                                         ": no host is known by the name 'nobody.test'");
  const auto refused = DialName("refuses.test", [](const Address& address) -> Result<Endpoints> {
    return Endpoints{Numeric("127.0.0.2", address.port), Numeric("127.0.0.3", address.port)};
  });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kNotFound);
  EXPECT_NE(refused.error().message.find("tcp:refuses.test:"), std::string::npos);
}

TEST(LookUp, NamesWhatTheSystemDoesNotKnow) {
  const auto names = LookUp({.host = "no-such-host.invalid", .port = 7});
  ASSERT_FALSE(names);
  EXPECT_NE(names.error().message.find("no-such-host.invalid"), std::string::npos) << names.error().message;
}

TEST(InNumbers, LooksUpWhatIsToBeListenedAt) {
  EXPECT_EQ(*InNumbers("unix:/run/e.sock"), "unix:/run/e.sock");
  EXPECT_EQ(*InNumbers("tcp:0.0.0.0:7"), "tcp:0.0.0.0:7");
  EXPECT_FALSE(InNumbers("tcp:no-such-host.invalid:7"));
}

}  // namespace
}  // namespace hearth
