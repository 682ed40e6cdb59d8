// The account that the daemons use may do what they do, and nothing else: the list that tools/dev and Compose install.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/config/reader.h"
#include "common/redis/account.h"
#include "executor/registration.h"
#include "tests/integration/dispatcher/directory_writer.h"
#include "tests/integration/dispatcher/redis_server.h"

namespace hearth::dispatcher {
namespace {

using executor::RunUntil;

const redis::Credentials kAccount{"hearth", "a password"};
constexpr const char* kPasswordHash = "afd1368cbf1509870eecbbce3c3bc4614e5d10e9f03aa6590db688d4cffbe86b";  // sha256

class Account : public testing::Test {
 protected:
  void SetUp() override {
    std::stringstream text;
    text << std::ifstream(HEARTH_ACL_FILE).rdbuf();
    std::string list = text.str();
    const std::string place = ">@PASSWORD@";
    ASSERT_NE(list.find(place), std::string::npos);
    // The hash, as tools/dev writes it: a password with a space cannot stand in the list itself.
    list.replace(list.find(place), place.size(), "#" + std::string(kPasswordHash));
    server_.Start(list);
    Timer pulse(loop_, [] {});  // turns the loop, so that the server is asked again
    pulse.StartEvery(10);
    ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return server_.Ask({"PING"}).text == "PONG"; }));
  }

  // What the account is answered.
  std::string Ask(const std::vector<std::string>& words) {
    auto client = redis::BlockingClient::Connect(server_.Address(), 5000, kAccount);
    if (!client) return client.error().message;
    auto answer = client->Command(words);
    return answer ? "fine" : answer.error().message;
  }
  // (DEBUG and MODULE are closed to everybody unless the server's configuration opens them.)
  bool Refused(const std::vector<std::string>& words) {
    const std::string answer = Ask(words);
    return answer.find("NOPERM") != std::string::npos || answer.find("command not allowed") != std::string::npos;
  }

  RedisServer server_;
  Loop loop_;
};

TEST_F(Account, WhatTheDaemonsDoNotDoIsRefused) {
  EXPECT_EQ(Ask({"GET", "sys:epoch"}), "fine");
  const std::vector<std::string> refused[] = {
      {"EVAL", "return 1", "0"},
      {"EVALSHA", std::string(40, 'a'), "0"},
      {"SCRIPT", "LOAD", "return 1"},
      {"KEYS", "*"},
      {"SCAN", "0"},
      {"CONFIG", "GET", "*"},
      {"CONFIG", "SET", "dir", "/tmp"},
      {"FLUSHALL"},
      {"FLUSHDB"},
      {"MODULE", "LIST"},
      {"DEBUG", "SLEEP", "0"},
      {"SHUTDOWN"},
      {"REPLICAOF", "127.0.0.1", "1"},
      {"ACL", "LIST"},
      {"ACL", "SETUSER", "hearth", "+@all"},
      {"CLIENT", "LIST"},
      {"MONITOR"},
      {"SAVE"},
      {"FUNCTION", "FLUSH"},
      {"FUNCTION", "DELETE", "hearth"},
      {"FUNCTION", "DUMP"},
      {"GET", "other"},
      {"SET", "other", "1"},
      {"HGETALL", "session:{alice}"},
      {"SET", "xu:{alice}:slots", "1"},
      {"DEL", "sys:epoch2"},
      {"RENAME", "sys:epoch", "u:x"},
      {"PUBLISH", "any", "text"},
      {"SUBSCRIBE", "any"},
  };
  for (const auto& words : refused) EXPECT_TRUE(Refused(words)) << words[0] << ": " << Ask(words);
}

TEST_F(Account, AnotherPasswordIsRefused) {
  const auto client = redis::BlockingClient::Connect(server_.Address(), 5000, {kAccount.user, "guess"});
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code, Code::kInvalid);
  EXPECT_THAT(client.error().message, testing::HasSubstr("WRONGPASS"));
}

// A library of the account's own runs with the rights of the account, and so reaches no further.
TEST_F(Account, FunctionsReachNoFurther) {
  ASSERT_EQ(Ask({"FUNCTION", "LOAD", "REPLACE",
                 "#!lua name=stranger\nredis.register_function('peek', function(keys, args) return "
                 "redis.call('GET', 'other') end)\nredis.register_function('wipe', function(keys, args) return "
                 "redis.call('FLUSHALL') end)"}),
            "fine");
  server_.Ask({"SET", "other", "secret"});
  EXPECT_NE(Ask({"FCALL", "peek", "0"}), "fine");
  EXPECT_NE(Ask({"FCALL", "wipe", "0"}), "fine");
  EXPECT_EQ(server_.Ask({"GET", "other"}).text, "secret");
}

TEST_F(Account, BothDaemonsWorkUnderIt) {
  Directory::Options options;
  options.credentials = kAccount;
  options.sweep_ms = 50;
  options.reap_ms = 1500;
  Writer writer(loop_, server_.Address(), "d-1", options);
  bool executor_up = false;
  executor::Registration executor(
      loop_, server_.Address(), ExecutorId("ex-1"),
      [] { return executor::ExecutorRecord{"unix:/x", "h:1", "i", "tcg", "ready", 1, 0, 0, 1, {}}; },
      [&executor_up](bool up, const std::string&) { executor_up = up; }, kAccount);
  writer.Write(MakeSlot("c-1"));
  writer.directory.Write(ExecutorId("gone"), MakeSlot("c-2"));
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&] { return writer.Settled() && executor_up; })) << writer.reason;
  EXPECT_EQ(writer.Claim(loop_, "c-1", 1000), true);
  EXPECT_EQ(server_.Ask({"HGET", "u:{alice}:claims", "c-1"}).text.ends_with("d-1"), true);
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [&] { return writer.executors == std::vector<std::string>{"unix:/x"}; }));
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return server_.Ask({"HLEN", kSlots}).integer == 1; })) << "reaped";
  writer.Write(MakeSlot("c-1", link::SlotState::kGone));
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return server_.Ask({"EXISTS", kSlots}).integer == 0; }));
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return !server_.Ask({"HGET", "di:d-1", "http"}).text.empty(); }));
  server_.Ask({"FLUSHALL"});
  server_.Ask({"FUNCTION", "FLUSH"});
  writer.Write(MakeSlot("c-3"));
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return server_.Ask({"HLEN", kSlots}).integer == 1; })) << "healed";
  bool left = false;
  executor.Leave([&left] { left = true; });
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [&left] { return left; }));
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return server_.Ask({"EXISTS", "ex:ex-1"}).integer == 0; }));
}

TEST_F(Account, AWrongPasswordIsNamed) {
  Directory::Options options;
  options.credentials = {"hearth", "wrong"};
  Writer writer(loop_, server_.Address(), "d-1", options);
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [&] {
    return writer.reason.find("it refuses the account") != std::string::npos;
  })) << writer.reason;
  EXPECT_FALSE(writer.up);
}

TEST(AccountFile, PasswordsAreReadAndFaultsNamed) {
  std::string pattern = "/tmp/hearth-p-XXXXXX";
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  std::ofstream(pattern + "/password") << "secret\nmore\n";
  const auto read = [](const std::string& text) {
    auto reader = ConfigReader::FromText(text, "t");
    auto credentials = redis::ReadCredentials(*reader);
    auto finished = reader->Finish();
    return std::pair(credentials, finished ? "" : finished.error().message);
  };
  auto [credentials, fault] = read("[redis]\nuser = \"hearth\"\npassword_file = \"" + pattern + "/password\"\n");
  EXPECT_EQ(credentials.user, "hearth");
  EXPECT_EQ(credentials.password, "secret");
  EXPECT_EQ(fault, "");
  EXPECT_NE(read("[redis]\nuser = \"h\"\npassword_file = \"/no/such/file\"\n").second.find("cannot be read"),
            std::string::npos);
  EXPECT_NE(read("[redis]\npassword_file = \"" + pattern + "/password\"\n").second.find("needs redis.user"),
            std::string::npos);
  std::filesystem::remove_all(pattern);
}

}  // namespace
}  // namespace hearth::dispatcher
