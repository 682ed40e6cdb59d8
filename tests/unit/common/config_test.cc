// Configuration files: what is refused, and with which line.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/config/reader.h"

namespace hearth {
namespace {

std::string FaultOf(std::string_view text) {
  auto reader = ConfigReader::FromText(text, "x.toml");
  if (!reader) return reader.error().message;
  (void)reader->String("name", "", "about");
  auto finished = reader->Finish();
  return finished ? "" : finished.error().message;
}

TEST(Config, TextBeyondAsciiIsWelcomeInCommentsAndEscaped) {
  EXPECT_EQ(FaultOf("name = \"f\\u00e9e # \\\" \" # n\u00e9\n# \u00e9\n"), "");
  EXPECT_EQ(FaultOf("name = '#\\'  # a backslash ends nothing in a literal string: \u00e9\n"), "");
  EXPECT_EQ(FaultOf("name = \"\"\"\n# \"quoted\"\n\"\"\" # \u00e9\n"), "");
  auto reader = ConfigReader::FromText("name = \"f\\u00e9e\"\n", "x.toml");
  ASSERT_TRUE(reader);
  EXPECT_EQ(reader->String("name", "", "about"), "f\u00e9e");
}

// toml++ 3.3 ends the process at code points from U+FB26 to U+FEFE outside strings, and after some faults inside of
// them.
TEST(Config, TextBeyondAsciiElsewhereIsNamedWithItsLine) {
  const std::string expected =
      ": control characters are not allowed, and text beyond ASCII only in comments (in a string, write it as \\uXXXX)";
  EXPECT_EQ(FaultOf("name = \"\"\n\xef\xbb\xbe = 1\n"), "x.toml:2" + expected);
  EXPECT_EQ(FaultOf("name = \xef\xac\xa6\n"), "x.toml:1" + expected);
  EXPECT_EQ(FaultOf("a = [-------\"ex@@\xca\xbf@@@@@]"), "x.toml:1" + expected);
  EXPECT_EQ(FaultOf("name = '# \xef\xac\xa6'"), "x.toml:1" + expected);
  EXPECT_EQ(FaultOf(std::string_view("name = 4\0\"", 10)), "x.toml:1" + expected);
}

TEST(Config, AnUnknownKeyIsNamedWithItsLine) {
  EXPECT_EQ(FaultOf("name = \"x\"\n\nnmae = 1\n"), "x.toml:3: unknown key 'nmae'");
}

TEST(Config, AFileThatIsNotThereIsNamed) {
  auto reader = ConfigReader::FromFile("/nowhere/x.toml");
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().message, "/nowhere/x.toml: No such file or directory");
}

std::optional<std::string> Variables(const std::string& name) {
  if (name == "HOST") return "h1";
  if (name == "MIB") return "4096";
  if (name == "ON") return "true";
  if (name == "EMPTY") return "";
  if (name == "LONG") return std::string(kMaxExpandedBytes, 'x');
  return std::nullopt;
}

TEST(Config, AValueMayComeFromTheEnvironment) {
  auto reader = ConfigReader::FromText(
      "id = \"executor-${HOST}\"\naddress = \"tcp:${HOST}:${PORT:-9201}\"\nname = \"${EMPTY:-nobody}\"\n"
      "plain = \"$${HOST} $HOST $\"\nmib = \"${MIB}\"\nleast = \"${LEAST:--1}\"\nflag = \"${ON}\"\n"
      "list = [\"${HOST}\", \"b\"]\nbraces = \"${NONE:-a:-b}\"\nempty = \"${EMPTY}\"\n",
      "x.toml", Variables);
  ASSERT_TRUE(reader);
  EXPECT_EQ(reader->RequiredString("id", "about"), "executor-h1");
  EXPECT_EQ(reader->String("address", "", "about"), "tcp:h1:9201");
  EXPECT_EQ(reader->String("name", "", "about"), "nobody");
  EXPECT_EQ(reader->String("plain", "", "about"), "${HOST} $HOST $");
  EXPECT_EQ(reader->Integer("mib", 1, 0, 10'000, "about"), 4096);
  EXPECT_EQ(reader->Integer("least", 1, -10, 10, "about"), -1);
  EXPECT_TRUE(reader->Boolean("flag", false, "about"));
  EXPECT_EQ(reader->Strings("list", {}, "about"), (std::vector<std::string>{"h1", "b"}));
  EXPECT_EQ(reader->String("braces", "", "about"), "a:-b");
  EXPECT_EQ(reader->String("empty", "x", "about"), "");
  const auto finished = reader->Finish();
  EXPECT_TRUE(finished) << finished.error().message;
}

std::string FaultWithVariables(const std::string& value) {
  auto reader = ConfigReader::FromText("\nkey = " + value + "\n", "x.toml", Variables);
  if (!reader) return reader.error().message;
  (void)reader->RequiredString("key", "about");
  const auto finished = reader->Finish();
  return finished ? "" : finished.error().message;
}

TEST(Config, AVariableThatMeansNothingIsNamedWithItsLine) {
  EXPECT_EQ(FaultWithVariables("\"${HEARTH_ID}\""),
            "x.toml:2: 'key' needs the environment variable HEARTH_ID, which is not set: set it, or write "
            "${HEARTH_ID:-VALUE} for a default");
  EXPECT_EQ(FaultWithVariables("\"${EMPTY}\""), "x.toml:2: 'key' must not be empty");
  for (const char* odd : {"\"${}\"", "\"${HOST\"", "\"${1ST}\"", "\"${a b}\"", "\"${:-x}\""}) {
    EXPECT_EQ(FaultWithVariables(odd),
              "x.toml:2: 'key' has a ${ that is not followed by a name and }: $${ is a plain ${")
        << odd;
  }
  EXPECT_NE(FaultWithVariables("\"${LONG}${HOST}\"").find("more than 65536 bytes"), std::string::npos);
}

TEST(Config, ATextWithoutVariablesIsNoNumber) {
  auto reader = ConfigReader::FromText("mib = \"4096\"\nodd = \"${HOST}\"\nflag = \"true\"\nhuge = \"${MIB}\"\n",
                                       "x.toml", Variables);
  ASSERT_TRUE(reader);
  (void)reader->Integer("mib", 1, 0, 10'000, "about");
  (void)reader->Integer("odd", 1, 0, 10'000, "about");
  (void)reader->Boolean("flag", false, "about");
  (void)reader->Integer("huge", 1, 0, 100, "about");
  EXPECT_EQ(reader->Finish().error().message,
            "x.toml:1: 'mib' must be an integer\nx.toml:2: 'odd' must be an integer\n"
            "x.toml:3: 'flag' must be true or false\nx.toml:4: 'huge' must be from 0 to 100");
}

TEST(Config, AWordIsOneOfThoseThatAreNamed) {
  auto reader = ConfigReader::FromText("a = \"fast\"\nb = \"loud\"\n", "x.toml");
  ASSERT_TRUE(reader);
  EXPECT_EQ(reader->Word("a", "slow", {"fast", "slow"}, "about"), "fast");
  EXPECT_EQ(reader->Word("b", "slow", {"fast", "slow"}, "about"), "slow");
  EXPECT_EQ(reader->Word("c", "slow", {"fast", "slow"}, "about"), "slow");
  EXPECT_EQ(reader->Finish().error().message, "x.toml:2: 'b' must be one of fast, slow");
}

TEST(Config, TheReferenceIsWhatIsRead) {
  auto reference = std::make_shared<ConfigReference>();
  auto reader = ConfigReader::ForReference(reference);
  EXPECT_EQ(reader.RequiredString("id", "its name"), "");
  EXPECT_EQ(reader.Integer("kafka.wait_ms", 5, 1, 10, "how long"), 5);
  for (auto& table : reader.Tables("user", "of one user")) (void)table.Integer("idle_s", 0, 1, 10, "a | b");
  (void)reader.Word("how", "fast", {"fast", "slow"}, "which way");
  EXPECT_EQ(ReferenceText(*reference, "hearth-x", "id = \"x\"\n"),
            "## hearth-x\n\n### At the top\n\n| key | type | default | values | meaning |\n"
            "| --- | --- | --- | --- | --- |\n| `id` | text | **required** |  | its name |\n"
            "| `[[user]]` | tables | none |  | of one user |\n| `how` | word | `fast` | `fast`, `slow` | which way |\n"
            "\n### `[kafka]`\n\n| key | type | default | values | meaning |\n| --- | --- | --- | --- | --- |\n"
            "| `wait_ms` | integer | 5 | 1 to 10 | how long |\n"
            "\n### `[[user]]`\n\n| key | type | default | values | meaning |\n| --- | --- | --- | --- | --- |\n"
            "| `idle_s` | integer | none | 1 to 10 | a \\| b |\n\n### An example\n\n```toml\nid = \"x\"\n```\n");
}

}  // namespace
}  // namespace hearth
