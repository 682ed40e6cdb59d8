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

}  // namespace
}  // namespace hearth
