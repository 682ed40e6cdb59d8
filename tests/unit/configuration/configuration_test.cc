// docs/configuration.md against the code that reads the configurations.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "dispatcher/config.h"
#include "executor/config.h"

namespace hearth {
namespace {

std::string Page() {
  std::ifstream file(std::string(HEARTH_SOURCE_DIR) + "/docs/configuration.md");
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string ExampleIn(const std::string& chapter) {
  constexpr std::string_view kBegin = "```toml\n";
  const auto begin = chapter.find(kBegin) + kBegin.size();
  return chapter.substr(begin, chapter.rfind("```") - begin);
}

std::optional<std::string> Host(const std::string& name) {
  return name == "HOSTNAME" ? std::optional<std::string>("h1") : std::nullopt;
}

TEST(Configuration, ThePageIsWhatTheProgramsPrint) {
  const std::string page = Page();
  const std::string wanted = dispatcher::ConfigChapter() + "\n" + executor::ConfigChapter();
  ASSERT_NE(page.find("\n## hearth-dispatcher\n"), std::string::npos);
  EXPECT_EQ(page.substr(page.find("\n## hearth-dispatcher\n") + 1), wanted)
      << "make it anew: see the first lines of docs/configuration.md";
}

TEST(Configuration, EveryKeySaysWhatItIsFor) {
  for (const std::string& chapter : {dispatcher::ConfigChapter(), executor::ConfigChapter()}) {
    EXPECT_EQ(chapter.find("|  |\n"), std::string::npos) << "a key without a meaning";
    EXPECT_NE(chapter.find("\n### `[kafka]`\n"), std::string::npos);
    EXPECT_NE(chapter.find("\n| `bootstrap` | text | **required** |"), std::string::npos);
  }
}

TEST(Configuration, TheExamplesAreTaken) {
  const auto dispatcher = dispatcher::ParseConfig(ExampleIn(dispatcher::ConfigChapter()), "example", Host);
  ASSERT_TRUE(dispatcher) << dispatcher.error().message;
  EXPECT_EQ(dispatcher->core.id, DispatcherId("h1"));
  EXPECT_EQ(dispatcher->status.Address(9101), "127.0.0.1:9101");

  std::string text = ExampleIn(executor::ConfigChapter());
  const std::string secret = testing::TempDir() + "link-secret";
  std::ofstream(secret) << std::string(kMinLinkSecretBytes, 's') << "\n";
  ASSERT_EQ(chmod(secret.c_str(), S_IRUSR | S_IWUSR), 0);
  constexpr std::string_view kFile = "/etc/hearth/link-secret";
  text.replace(text.find(kFile), kFile.size(), secret);
  const auto executor = executor::ParseConfig(text, "example", Host);
  ASSERT_TRUE(executor) << executor.error().message;
  EXPECT_EQ(executor->core.id, ExecutorId("executor-h1"));
  EXPECT_EQ(executor->advertised, "tcp:h1:9201");
  EXPECT_EQ(executor->status.Address(9102), "h1:9102");
  EXPECT_EQ(executor->core.memory_mib, 8192);
}

std::string DispatcherWith(const std::string& lines) {
  return "id = \"d\"\nhttp = \"127.0.0.1:0\"\n[kafka]\nbootstrap = \"127.0.0.1:1\"\n[redis]\naddress = "
         "\"tcp:127.0.0.1:1\"\n" +
         lines;
}

TEST(Configuration, TopicsOfBatchesHaveNamesAndThoseThatMayBeReplayedAreListed) {
  const auto usual = dispatcher::ParseConfig(DispatcherWith(""), "x");
  ASSERT_TRUE(usual) << usual.error().message;
  EXPECT_EQ(usual->core.batches_topic, "hearth.batches");
  EXPECT_TRUE(usual->core.batch_replay_topics.empty());
  const auto named = dispatcher::ParseConfig(
      DispatcherWith("[topics]\nbatches = \"b\"\nbatch_items = \"i\"\nbatch_state = \"s\"\nbatch_results = \"r\"\n"
                     "[admission]\nbatch_topics = [\"ada:orders\", \"*:x.*\"]\n"),
      "x");
  ASSERT_TRUE(named) << named.error().message;
  EXPECT_EQ(named->core.batches_topic, "b");
  EXPECT_EQ(named->core.batch_items_topic, "i");
  EXPECT_EQ(named->core.batch_state_topic, "s");
  EXPECT_EQ(named->core.batch_results_topic, "r");
  EXPECT_EQ(named->core.batch_replay_topics, (std::vector<std::string>{"ada:orders", "*:x.*"}));
}

TEST(Configuration, TopicsOfBatchesAreApartFromEachOtherAndFromThoseOfRequests) {
  for (const char* lines :
       {"[topics]\nbatches = \"hearth.invoke.rt\"\n", "[topics]\nbatch_items = \"hearth.batches\"\n",
        "[topics]\nstd = \"hearth.batch.state\"\n"}) {
    const auto config = dispatcher::ParseConfig(DispatcherWith(lines), "x");
    ASSERT_FALSE(config) << lines;
    EXPECT_NE(config.error().message.find("must name different topics"), std::string::npos) << config.error().message;
  }
}

TEST(Configuration, WhatMayBeReplayedIsWrittenWithItsUserAndIsNotHearthsOwn) {
  for (const char* entry : {"orders", "ada:", ":orders", "ada:hearth.batches", "*:hearth.functions"}) {
    const auto config =
        dispatcher::ParseConfig(DispatcherWith(std::string("[admission]\nbatch_topics = [\"") + entry + "\"]\n"), "x");
    ASSERT_FALSE(config) << entry;
    EXPECT_NE(config.error().message.find("admission.batch_topics"), std::string::npos) << config.error().message;
  }
}

}  // namespace
}  // namespace hearth
