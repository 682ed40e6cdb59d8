#include "tools/hearth/ways_out.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "tools/hearth/directory.h"

namespace hearth::tool {
namespace {

using testing::HasSubstr;
using testing::Not;

void Give(Setting& setting, std::string value, Origin origin) {
  setting.value = std::move(value);
  setting.origin = origin;
}

TEST(WaysOut, NameTheAddressOfKafkaWhereItCameFromAndHowToSetAnother) {
  Context context;
  const Error away{Code::kUnavailable, "kafka at 127.0.0.1:9092: away"};
  Give(context.bootstrap, "127.0.0.1:9092", Origin::kDefault);
  EXPECT_THAT(KafkaWayOut(context, away),
              HasSubstr("127.0.0.1:9092 is the default; name another with --bootstrap BROKERS or HEARTH_BOOTSTRAP"));
  Give(context.bootstrap, "kafka:9092", Origin::kVariable);
  EXPECT_THAT(KafkaWayOut(context, away), HasSubstr("kafka:9092 comes from HEARTH_BOOTSTRAP;"));
  Give(context.bootstrap, "kafka:9092", Origin::kOption);
  EXPECT_THAT(KafkaWayOut(context, away), HasSubstr("kafka:9092 comes from --bootstrap;"));
  EXPECT_THAT(KafkaWayOut(context, {Code::kNotFound, "no topic x"}), HasSubstr("hearth topics list"));
  EXPECT_EQ(KafkaWayOut(context, {Code::kExhausted, "too large"}), "");
}

TEST(WaysOut, TellAnAccountThatRedisRefusesFromARedisThatIsAway) {
  Context context;
  Give(context.redis, "tcp:redis:6379", Origin::kVariable);
  EXPECT_THAT(RedisWayOut(context, {Code::kUnavailable, "redis at tcp:redis:6379: refused"}),
              HasSubstr("tcp:redis:6379 comes from HEARTH_REDIS;"));
  EXPECT_THAT(RedisWayOut(context, {Code::kInvalid, "redis: NOAUTH Authentication required."}),
              HasSubstr("no account is named, no password file is named\n--redis-user NAME or HEARTH_REDIS_USER and "));
  Give(context.redis_user, "hearth", Origin::kOption);
  Give(context.redis_password_file, "/accounts/password", Origin::kVariable);
  const auto wrong = RedisWayOut(context, {Code::kInvalid, "redis: WRONGPASS invalid username-password pair"});
  EXPECT_THAT(wrong, HasSubstr("the account hearth comes from --redis-user"));
  EXPECT_THAT(wrong, HasSubstr("/accounts/password comes from HEARTH_REDIS_PASSWORD_FILE"));
  EXPECT_THAT(RedisWayOut(context, {Code::kInvalid, "redis: NOPERM no permissions"}), HasSubstr("The account"));
}

TEST(WaysOut, OfAnUnknownFunctionNameThoseThereAre) {
  Context context;
  Give(context.user, "alice", Origin::kOption);
  const std::vector<KnownFunction> known = {{"alice", "hello"}, {"alice", "resize"}, {"bob", "helo"}, {"carol", "x"}};
  const auto mistyped = FunctionWayOut(context.user, "helo", known);
  EXPECT_THAT(mistyped, HasSubstr("alice has hello, resize; did you mean hello?"));
  EXPECT_THAT(mistyped, HasSubstr("a function helo belongs to bob"));
  EXPECT_THAT(mistyped, HasSubstr("hearth deploy helo --handler"));
  EXPECT_THAT(mistyped, Not(HasSubstr("the default")));
  Give(context.user, "default", Origin::kDefault);
  const auto nobodys = FunctionWayOut(context.user, "hello", known);
  EXPECT_THAT(nobodys, HasSubstr("default has no functions"));
  EXPECT_THAT(nobodys, HasSubstr("the user default is the default; name another with --user USER or HEARTH_USER"));
  EXPECT_THAT(nobodys, HasSubstr("a function hello belongs to alice"));
  std::vector<KnownFunction> many;
  for (int i = 0; i < 100; ++i) many.push_back({"default", "function-" + std::to_string(i)});
  EXPECT_THAT(FunctionWayOut(context.user, "hello", many), HasSubstr(" and 88 more"));
}

TEST(Handler, HasToBeInTheCode) {
  const auto check = [](const std::string& handler, const std::vector<CodeFile>& files, Runtime runtime) {
    const auto checked = CheckHandler(runtime, handler, files);
    return checked ? "" : checked.error().message;
  };
  const std::vector<CodeFile> code = {{"app.py", "def handler(event, context):\n", false},
                                      {"shop/__init__.py", "", false},
                                      {"shop/orders.py", "", false},
                                      {"fast.cpython-311-x86_64-linux-gnu.so", "", false},
                                      {"bin/run", "", true},
                                      {"notes.txt", "", false}};
  for (const auto* handler : {"app.handler", "shop.start", "shop.orders.place", "fast.run"})
    EXPECT_EQ(check(handler, code, Runtime::kPython3), "") << handler;
  EXPECT_EQ(check("hello.handler", code, Runtime::kPython3),
            "the code has no module for the handler hello.handler: no hello.py; it has app.py, shop/__init__.py, "
            "shop/orders.py; did you mean app.handler?");
  EXPECT_THAT(check("ap.handler", {}, Runtime::kPython3), HasSubstr("no .py file at all"));
  EXPECT_EQ(check("bin/run", code, Runtime::kNative), "");
  EXPECT_EQ(check("run", code, Runtime::kNative), "the code has no program run; it has bin/run");
  EXPECT_EQ(check("notes.txt", code, Runtime::kNative), "notes.txt may not be executed: chmod +x");
}

TEST(Handler, IsDoubtedWhereItsModuleDoesNotNameIt) {
  const auto doubt = [](std::string content, const std::string& handler = "app.handler") {
    return DoubtAboutHandler(Runtime::kPython3, handler, {{"app.py", std::move(content), false}});
  };
  EXPECT_EQ(doubt("def handler(event):\n  pass\n"), "");
  EXPECT_EQ(doubt("from elsewhere import handler\n"), "");
  EXPECT_EQ(doubt("from elsewhere import *\n"), "");
  EXPECT_EQ(doubt("def main(event): pass\n"), "app.py seems to have no function handler");
  EXPECT_EQ(doubt("def handlers(): pass\n"), "app.py seems to have no function handler");
  EXPECT_EQ(
      DoubtAboutHandler(Runtime::kPython3, "app.handler", {{"app.py", "", false}, {"b.py", "def handler()", false}}),
      "app.py seems to have no function handler; did you mean b.handler?");
}

TEST(Handler, IsDoubtedWhereAProgramNeedsSharedLibraries) {
  const auto doubt = [](std::string content) {
    return DoubtAboutHandler(Runtime::kNative, "run", {{"run", std::move(content), true}});
  };
  std::ifstream in("/proc/self/exe", std::ios::binary);  // as every program of this tree but the guest's
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  EXPECT_THAT(doubt(whole), HasSubstr("run is linked with shared libraries"));
  for (const std::size_t bytes : {0U, 1U, 4U, 63U, 64U, 100U}) EXPECT_EQ(doubt(whole.substr(0, bytes)), "") << bytes;
  std::string far = whole.substr(0, 64);
  far.replace(32, 8, std::string(8, '\xff'));  // its table lies beyond all there is
  EXPECT_EQ(doubt(far), "");
  EXPECT_EQ(doubt("#!/bin/sh\n"), "");
}

TEST(DirectoryOfDaemons, SaysWhoIsMissing) {
  const DaemonSeen there{"d", {{"http", "127.0.0.1:1"}}};
  const DaemonSeen gone{"d", {}};
  EXPECT_EQ(WhoIsMissing({}), "no dispatcher is there");
  EXPECT_EQ(WhoIsMissing({{gone}, {there}}), "no dispatcher is there");
  EXPECT_EQ(WhoIsMissing({{there}, {gone}}), "no executor is there");
  EXPECT_EQ(WhoIsMissing({{gone, there}, {there}}), "");
}

}  // namespace
}  // namespace hearth::tool
