// What an address is, and what is none.
#include "common/base/address.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

constexpr AddressForms kBare{.bare = true};
constexpr AddressForms kWithPort{.bare = true, .default_port = 6379};

TEST(Address, IsAPathOrAHostAndAPort) {
  EXPECT_EQ(*ParseAddress("unix:/run/hearth/e.sock"), (Address{.path = "/run/hearth/e.sock"}));
  EXPECT_EQ(*ParseAddress("tcp:10.0.0.7:7000"), (Address{.host = "10.0.0.7", .port = 7000}));
  EXPECT_EQ(*ParseAddress("tcp:localhost:0"), (Address{.host = "localhost", .port = 0}));
  EXPECT_EQ(*ParseAddress("tcp:::1:80"), (Address{.host = "::1", .port = 80})) << "the last colon counts";
  EXPECT_TRUE(ParseAddress("unix:s")->is_unix());
  EXPECT_FALSE(ParseAddress("tcp:h:1")->is_unix());
}

TEST(Address, ANameAloneIsOneWhereThatIsSaid) {
  EXPECT_FALSE(ParseAddress("127.0.0.1:9101"));
  EXPECT_EQ(*ParseAddress("127.0.0.1:9101", kBare), (Address{.host = "127.0.0.1", .port = 9101}));
  EXPECT_EQ(*ParseAddress("tcp:127.0.0.1:9101", kBare), *ParseAddress("127.0.0.1:9101", kBare));
  EXPECT_FALSE(ParseAddress("redis", kBare));
  EXPECT_EQ(*ParseAddress("redis", kWithPort), (Address{.host = "redis", .port = 6379}));
  EXPECT_EQ(*ParseAddress("tcp:redis", kWithPort), (Address{.host = "redis", .port = 6379}));
  EXPECT_EQ(*ParseAddress("redis:1", kWithPort), (Address{.host = "redis", .port = 1}));
  EXPECT_TRUE(ParseAddress("unix:/redis.sock", kWithPort)->is_unix());
}

TEST(Address, WhatIsNoneIsRefused) {
  for (const char* text : {"", "unix:", "tcp:", "tcp:host", "tcp::80", "tcp:host:", "tcp:host:x", "tcp:host:80x",
                           "tcp:host:-1", "tcp:host:65536", "tcp:host:99999999999", "host:80", "http:host:80"}) {
    const auto address = ParseAddress(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().code, Code::kInvalid);
  }
  for (const char* text : {"", ":80", "host:", "host:80x", "unix:"}) {
    EXPECT_FALSE(ParseAddress(text, kWithPort)) << text;
  }
}

TEST(Address, APathFitsIntoASocketAddress) {
  EXPECT_TRUE(ParseAddress("unix:" + std::string(kMaxSocketPathBytes, 'x')));
  EXPECT_FALSE(ParseAddress("unix:" + std::string(kMaxSocketPathBytes + 1, 'x')));
}

}  // namespace
}  // namespace hearth
