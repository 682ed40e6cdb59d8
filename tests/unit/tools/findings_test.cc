// What hearth status makes of what it has seen.
#include "tools/hearth/findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "schemas/topics.h"

namespace hearth::tool {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kPools =
    R"([{"profile":"default","ready":2,"starting":1,"assigned":3},{"profile":"large","ready":1}])";

Context Named() {
  Context context;
  context.bootstrap.value = "kafka:9092";
  context.redis.value = "tcp:redis:6379";
  context.redis.origin = Origin::kVariable;
  context.code_store.value = "/code";
  context.user.value = "alice";
  return context;
}

Seen Whole() {
  std::vector<kafka::TopicInfo> topics;
  for (const TopicRow& row : kTopics) topics.push_back({std::string(row.name), 1});
  Directory directory{{{"d-1", {{"http", "d:9101"}}}},
                      {{"e-1", {{"address", "tcp:e:9200"}, {"state", "ready"}, {"pools", kPools}}}}};
  return {std::move(topics),
          std::move(directory),
          {{"d:9101", LocalAnswer{200, "kafka: ok\n"}}},
          FunctionCount{2, 5},
          true};
}

Check Of(const std::string& what, const Context& context, const Seen& seen) {
  const auto checks = Judge(context, seen);
  const auto found = std::ranges::find(checks, what, &Check::what);
  EXPECT_NE(found, checks.end()) << what;
  return found == checks.end() ? Check{} : *found;
}

TEST(Findings, AreAllOkWhereAllIsThere) {
  const auto checks = Judge(Named(), Whole());
  EXPECT_TRUE(AllOk(checks)) << ToText(checks);
  EXPECT_EQ(Of("machines", Named(), Whole()).found, "3 ready in the pools, 1 starting, 3 of users");
  EXPECT_EQ(Of("functions", Named(), Whole()).found, "2 of alice, 5 of all users");
  const auto json = ToJson(checks);
  EXPECT_EQ(json["ok"], true);
  EXPECT_EQ(json["checks"].size(), checks.size());
  EXPECT_EQ(json["checks"][0]["what"], "kafka");
}

TEST(Findings, NameTheWayOutOfEachThatIsMissing) {
  Seen seen = Whole();
  seen.topics = Fail(Code::kUnavailable, "kafka at kafka:9092: away");
  seen.directory = Result<Directory>(Fail(Code::kInvalid, "redis: WRONGPASS no"));
  seen.code_store_there = false;
  const auto checks = Judge(Named(), seen);
  EXPECT_FALSE(AllOk(checks));
  for (const auto* what : {"kafka", "redis", "dispatcher", "executor", "code store"}) {
    const auto check = Of(what, Named(), seen);
    EXPECT_NE(check.verdict, Verdict::kOk) << what;
    EXPECT_NE(check.way_out, "") << what;
    EXPECT_THAT(ToText(checks), HasSubstr("→ " + check.way_out.substr(0, check.way_out.find('\n'))));
  }
  EXPECT_EQ(Of("topics", Named(), seen).verdict, Verdict::kUnknown);
  EXPECT_EQ(Of("functions", Named(), seen).verdict, Verdict::kUnknown);
}

TEST(Findings, NameTheTopicsThatAreNotThere) {
  Seen seen = Whole();
  std::erase_if(*seen.topics, [](const auto& topic) { return topic.name == "hearth.usage"; });
  const auto check = Of("topics", Named(), seen);
  EXPECT_EQ(check.verdict, Verdict::kMissing);
  EXPECT_EQ(check.found, "not there: hearth.usage");
}

TEST(Findings, TellADaemonThatIsGoneFromOneWhosePageIsOutOfReach) {
  Seen seen = Whole();
  seen.pages.at("d:9101") = Fail(Code::kUnavailable, "d:9101: refused");
  EXPECT_EQ(Of("dispatcher", Named(), seen).verdict, Verdict::kOk);
  EXPECT_THAT(Of("dispatcher", Named(), seen).found, HasSubstr("not reached from here"));
  (*seen.directory)->dispatchers[0].fields.clear();
  EXPECT_EQ(Of("dispatcher", Named(), seen).verdict, Verdict::kMissing);
  EXPECT_THAT(Of("dispatcher", Named(), seen).way_out, HasSubstr("start hearth-dispatcher"));
}

TEST(Findings, SayWhatADaemonWaitsFor) {
  Seen seen = Whole();
  seen.pages.at("d:9101") = LocalAnswer{503, "executor: none\nkafka: ok\nredis: ok\n"};
  EXPECT_EQ(Of("dispatcher", Named(), seen).verdict, Verdict::kMissing);
  EXPECT_EQ(Of("dispatcher", Named(), seen).found, "d-1: not ready: executor: none");
}

TEST(Findings, ADaemonThatIsNamedHasToAnswer) {
  Context context = Named();
  context.dispatcher_http.value = "d:1";
  context.dispatcher_http.origin = Origin::kVariable;
  Seen seen = Whole();
  seen.directory.reset();
  seen.pages.emplace("d:1", Fail(Code::kUnavailable, "d:1: refused"));
  EXPECT_EQ(Of("dispatcher", context, seen).verdict, Verdict::kMissing);
  EXPECT_THAT(Of("dispatcher", context, seen).way_out, HasSubstr("d:1 comes from HEARTH_DISPATCHER_HTTP"));
  seen.pages.at("d:1") = LocalAnswer{200, ""};
  EXPECT_EQ(Of("dispatcher", context, seen).verdict, Verdict::kOk);
}

TEST(Findings, WhatNothingNamesIsUnknownAndNoFunctionsAreNoFault) {
  Context context = Named();
  context.redis.value.clear();
  context.code_store.value.clear();
  Seen seen = Whole();
  seen.directory.reset();
  seen.functions = FunctionCount{0, 5};
  for (const auto* what : {"redis", "dispatcher", "executor", "machines"})
    EXPECT_EQ(Of(what, context, seen).verdict, Verdict::kUnknown) << what;
  EXPECT_EQ(Of("code store", context, seen).verdict, Verdict::kOk);
  EXPECT_EQ(Of("functions", context, seen).verdict, Verdict::kOk);
}

TEST(Findings, WhatOthersWroteCannotMoveTheCursor) {
  Seen seen = Whole();
  (*seen.directory)->executors[0].fields["state"] = "\x1b[2J\nok";
  EXPECT_THAT(ToText(Judge(Named(), seen)), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace hearth::tool
