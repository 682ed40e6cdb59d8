// Configuration files: what is refused, and with which line.
#include <gtest/gtest.h>

#include "common/config/reader.h"

namespace hearth {
namespace {

std::string FaultOf(std::string_view text) {
  auto reader = ConfigReader::FromText(text, "x.toml");
  if (!reader) return reader.error().message;
  (void)reader->String("name", "");
  auto finished = reader->Finish();
  return finished ? "" : finished.error().message;
}

TEST(Config, TextBeyondAsciiIsWelcomeInCommentsAndEscaped) {
  EXPECT_EQ(FaultOf("name = \"f\\u00e9e # \\\" \" # n\u00e9\n# \u00e9\n"), "");
  EXPECT_EQ(FaultOf("name = '#\\'  # a backslash ends nothing in a literal string: \u00e9\n"), "");
  EXPECT_EQ(FaultOf("name = \"\"\"\n# \"quoted\"\n\"\"\" # \u00e9\n"), "");
  auto reader = ConfigReader::FromText("name = \"f\\u00e9e\"\n", "x.toml");
  ASSERT_TRUE(reader);
  EXPECT_EQ(reader->String("name", ""), "f\u00e9e");
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

}  // namespace
}  // namespace hearth
