// The command line as a whole: what it understands, what it says of what it does not, and its help. Nothing is run.
#include "tools/hearth/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <CLI/CLI.hpp>

#include <fstream>
#include <iterator>
#include <sstream>

#include "tools/hearth/manual.h"

namespace hearth::tool {
namespace {

using testing::HasSubstr;
using testing::Not;

Asked Parse(const std::vector<std::string>& words) {
  return CommandLine().Parse(words);
}

// What is said of a line that cannot be understood.
std::string Said(const std::vector<std::string>& words) {
  const Asked asked = Parse(words);
  EXPECT_FALSE(asked.run);
  EXPECT_EQ(asked.exit_code, kUsage);
  return asked.text;
}

std::string Help(std::vector<std::string> words) {
  words.emplace_back("--help");
  const Asked asked = Parse(words);
  EXPECT_EQ(asked.exit_code, kFine);
  return asked.text;
}

void EachCommand(const CLI::App& app, const std::function<void(const CLI::App&)>& what) {
  what(app);
  for (const auto* each : app.get_subcommands({})) EachCommand(*each, what);
}

TEST(CommandLine, UnderstandsOptionsOfEveryCommandBeforeAndBehindItsName) {
  EXPECT_TRUE(Parse({"--user", "alice", "functions"}).run);
  EXPECT_TRUE(Parse({"functions", "--user", "alice", "--json"}).run);
  EXPECT_TRUE(Parse({"pool", "set", "default", "--min", "1", "--redis", "tcp:r:6379"}).run);
}

TEST(CommandLine, AVariableTakesOneValueWhereverItStands) {
  EXPECT_TRUE(
      Parse({"deploy", "--env", "A=1", "--env", "B", "hello", "--env-file", "f", "folder", "--handler", "h.h"}).run);
}

TEST(CommandLine, SaysWhichNameMayHaveBeenMeant) {
  EXPECT_THAT(Said({"depoly"}), HasSubstr("unknown command depoly; did you mean deploy?"));
  EXPECT_THAT(Said({"pool", "stat"}), HasSubstr("hearth: unknown command stat"));
  EXPECT_THAT(Said({"pool", "sett"}), HasSubstr("did you mean set?\n  hearth pool --help tells"));
  EXPECT_THAT(Said({"invoke", "hello", "--wiat", "3"}), HasSubstr("unknown option --wiat; did you mean --wait?"));
  EXPECT_THAT(Said({"invoke", "hello", "--wiat=3"}), HasSubstr("unknown option --wiat; did you mean --wait?"));
  EXPECT_THAT(Said({"deploy", "x", "folder", "--handlr", "a.b"}), HasSubstr("did you mean --handler?"));
  EXPECT_THAT(Said({"--usr", "alice", "functions"}), HasSubstr("did you mean --user?"));
  EXPECT_THAT(Said({"--wait", "3", "invoke", "hello"}), HasSubstr("--wait stands behind the command's name"));
  EXPECT_THAT(Said({"nonsense"}), Not(HasSubstr("did you mean")));
  EXPECT_THAT(Said({"ps", "more"}), HasSubstr("unexpected word more"));
  EXPECT_THAT(Said({"a\x1b[2Jb"}), HasSubstr("unknown command a\\x1b[2Jb"));
}

TEST(CommandLine, NamesWhatIsMissing) {
  EXPECT_THAT(Said({}), HasSubstr("a command is required: deploy, "));
  EXPECT_THAT(Said({"pool"}), HasSubstr("a command is required: status, set, advise"));
  EXPECT_THAT(Said({"invoke"}), HasSubstr("name is required"));
  EXPECT_THAT(Said({"deploy", "x", "folder"}), HasSubstr("--handler is required"));
}

TEST(CommandLine, RefusesAUserThatIsNoNameAndSaysWhereItComesFrom) {
  EXPECT_THAT(Said({"--user", "../alice", "functions"}), HasSubstr("../alice comes from --user"));
  ASSERT_EQ(setenv("HEARTH_USER", "a b", 1), 0);
  EXPECT_THAT(Said({"functions"}), HasSubstr("a b comes from HEARTH_USER"));
  ASSERT_EQ(setenv("HEARTH_USER", "", 1), 0);
  EXPECT_TRUE(Parse({"functions"}).run);
  ASSERT_EQ(unsetenv("HEARTH_USER"), 0);
}

TEST(CommandLine, HelpGroupsAndShowsAnExample) {
  const auto root = Help({});
  for (const auto* text :
       {"\nFunctions:\n  deploy ", "\nMachines:\n", "\nInstallation:\n  status ", "\nWho and where:\n",
        "[HEARTH_BOOTSTRAP]", "(default: default)", "\nExample:\n  hearth deploy hello", "\nExit codes:\n  0 "}) {
    EXPECT_THAT(root, HasSubstr(text));
  }
  const auto deploy = Help({"deploy"});
  for (const auto* text :
       {"Usage: hearth deploy [OPTIONS] NAME PATH\n", "\nCode:\n  --runtime RUNTIME ", "\nLimits:\n  --memory MIB ",
        "\nVariables:\n", "(default: 128)", "required", "may be repeated", "\nExample:\n  hearth deploy "}) {
    EXPECT_THAT(deploy, HasSubstr(text));
  }
  EXPECT_THAT(Help({"pool", "set"}), HasSubstr("Usage: hearth pool set [OPTIONS] PROFILE\n"));
}

TEST(CommandLine, EveryCommandHasAnExampleThatIsUnderstood) {
  EachCommand(CommandLine().app(), [](const CLI::App& command) {
    const auto* entry = EntryOf(WordsOf(command));
    ASSERT_NE(entry, nullptr) << WordsOf(command);
    EXPECT_THAT(std::string(entry->example), testing::StartsWith("hearth ")) << WordsOf(command);
    const bool prints = command.get_subcommands({}).empty() && WordsOf(command) != "help";
    EXPECT_EQ(prints, !entry->json.empty()) << WordsOf(command) << " has no word on what --json prints";
  });
}

TEST(CommandLine, ItsPageIsGeneratedFromIt) {
  std::ifstream in(HEARTH_SOURCE_DIR "/docs/cli.md");
  const std::string page{std::istreambuf_iterator<char>(in), {}};
  ASSERT_EQ(setenv("HEARTH_BOOTSTRAP", "somewhere:9", 1), 0);  // the page does not depend on where it is made
  const CommandLine line;
  ASSERT_EQ(unsetenv("HEARTH_BOOTSTRAP"), 0);
  EXPECT_EQ(page, Markdown(line.app(), Context())) << "make it again: hearth help --markdown >docs/cli.md";
}

TEST(CommandLine, NoLineOfHelpIsWiderThanATerminal) {
  EachCommand(CommandLine().app(), [](const CLI::App& command) {
    std::istringstream help(HelpOf(command));
    for (std::string line; std::getline(help, line);) EXPECT_LE(line.size(), 120U) << line;
  });
}

}  // namespace
}  // namespace hearth::tool
