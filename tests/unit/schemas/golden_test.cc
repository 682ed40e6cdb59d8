// The bytes of version 1 stay as they are: what an older hearth wrote is read, and what is written is the same.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "samples.h"

namespace hearth {
namespace {

std::string ReadGolden(const std::string& name) {
  std::ifstream file(std::string(HEARTH_GOLDEN) + "/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Golden, BytesOfVersionOneDoNotChange) {
  const auto files = samples::Golden();
  ASSERT_EQ(files.size(), 2U + 10U + 12U + 17U);
  for (const auto& [name, bytes] : files) EXPECT_EQ(ReadGolden(name), bytes) << name;
}

TEST(Golden, NothingStrayLiesInTheFolder) {
  const auto files = samples::Golden();
  for (const auto& entry : std::filesystem::directory_iterator(HEARTH_GOLDEN)) {
    EXPECT_TRUE(files.contains(entry.path().filename())) << entry.path();
  }
}

TEST(Golden, OldFunctionsAndUsageAreRead) {
  EXPECT_EQ(DecodeFunction(ReadGolden("function.v1")).value(), samples::SampleFunction());
  EXPECT_EQ(DecodeUsage(ReadGolden("usage.v1")).value(), samples::SampleUsage());
}

}  // namespace
}  // namespace hearth
