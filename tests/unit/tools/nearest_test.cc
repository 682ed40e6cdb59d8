#include "tools/hearth/nearest.h"

#include <gtest/gtest.h>

namespace hearth::tool {
namespace {

TEST(Nearest, CountsChangedAddedLeftOutAndSwappedLetters) {
  EXPECT_EQ(EditDistance("", ""), 0U);
  EXPECT_EQ(EditDistance("hello", ""), 5U);
  EXPECT_EQ(EditDistance("hello", "hallo"), 1U);
  EXPECT_EQ(EditDistance("hello", "helo"), 1U);
  EXPECT_EQ(EditDistance("helo", "hello"), 1U);
  EXPECT_EQ(EditDistance("hlelo", "hello"), 1U);
  EXPECT_EQ(EditDistance("--wiat", "--wait"), 1U);
}

TEST(Nearest, NamesWhatMayHaveBeenMeantAndNothingElse) {
  const std::vector<std::string> known = {"deploy", "functions", "invoke", "ps"};
  EXPECT_EQ(Nearest("depoly", known), "deploy");
  EXPECT_EQ(Nearest("function", known), "functions");
  EXPECT_EQ(Nearest("nonsense", known), "");
  EXPECT_EQ(Nearest("", known), "");
  EXPECT_EQ(Nearest("x", known), "");
  EXPECT_EQ(Nearest("pss", known), "ps");
  EXPECT_EQ(Nearest(std::string(100'000, 'x'), known), "");
  EXPECT_EQ(Nearest("hello", {}), "");
}

TEST(Nearest, IsAskedForAtTheEndOfASentence) {
  EXPECT_EQ(DidYouMean("invok", {"invoke"}), "; did you mean invoke?");
  EXPECT_EQ(DidYouMean("nonsense", {"invoke"}), "");
}

}  // namespace
}  // namespace hearth::tool
