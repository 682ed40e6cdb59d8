// Variables of a function: where they come from, and what is said of those that are none.
#include "tools/hearth/environment.h"

#include <gtest/gtest.h>

namespace hearth::tool {
namespace {

std::optional<std::string> Own(const std::string& name) {
  return name == "TOKEN" ? std::optional<std::string>("from outside") : std::nullopt;
}

std::string Fault(std::string_view text) {
  Variables variables;
  const auto added = AddVariables(variables, text, Own);
  return added ? "" : added.error().message;
}

TEST(Environment, AFileIsReadAsDockerReadsIt) {
  Variables variables;
  ASSERT_TRUE(
      AddVariables(variables, "\xef\xbb\xbf# secrets\n\n  A=1\r\nB=\"x = y\" # no comment\nTOKEN\nEMPTY=\nA=2", Own));
  EXPECT_EQ(variables,
            (Variables{{"A", "2"}, {"B", "\"x = y\" # no comment"}, {"TOKEN", "from outside"}, {"EMPTY", ""}}));
}

TEST(Environment, AFaultNamesItsLineAndNoValue) {
  EXPECT_EQ(Fault("A=1\n\n=hidden\n"), "line 3: expected NAME=VALUE or NAME");
  EXPECT_EQ(Fault("A=1\nB C=hidden\n"), "line 2: the name 'B C' has a space in it");
  EXPECT_EQ(Fault("NOWHERE"), "line 1: NOWHERE has no value, and is not set where the command runs");
}

TEST(Environment, AFileThatIsNotThereOrIsTooLargeIsNamed) {
  Variables variables;
  for (const char* file : {"/no/such/file", "/", "/dev/zero"}) {
    const auto added = AddVariablesOfFile(variables, file, Own);
    ASSERT_FALSE(added) << file;
    EXPECT_TRUE(added.error().message.starts_with(file)) << added.error().message;
  }
  EXPECT_TRUE(AddVariablesOfFile(variables, "/dev/null", Own));
}

}  // namespace
}  // namespace hearth::tool
