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
  ASSERT_EQ(files.size(), 2U + 10U + 17U + 2U + 18U + 12U);
  for (const auto& [name, bytes] : files) EXPECT_EQ(ReadGolden(name), bytes) << name;
}

TEST(Golden, NothingStrayLiesInTheFolder) {
  const auto files = samples::Golden();
  for (const auto& entry : std::filesystem::directory_iterator(HEARTH_GOLDEN)) {
    EXPECT_TRUE(files.contains(entry.path().filename())) << entry.path();
  }
}

// Functions that were deployed before they could say how long their containers are kept.
TEST(Golden, AFunctionWithoutAnIdleTimeIsRead) {
  std::string bytes = ReadGolden("function.v1");
  const std::string field = std::string("\xb0") + "container_idle_s" + '\0';
  ASSERT_TRUE(bytes.ends_with(field));
  bytes.resize(bytes.size() - field.size());
  ASSERT_EQ(bytes.substr(0, 3), std::string("\xde\x00\x10", 3)) << "a map of 16";
  bytes.replace(0, 3, "\x8f");
  const auto function = DecodeFunction(bytes);
  ASSERT_TRUE(function) << function.error().message;
  EXPECT_EQ(*function, samples::SampleFunction());
}

TEST(Golden, OldBatchesAreRead) {
  const auto specs = samples::BatchSpecs();
  EXPECT_EQ(DecodeBatchSpec(ReadGolden("batch-spec-stored.v1")).value(), specs[0]);
  EXPECT_EQ(DecodeBatchSpec(ReadGolden("batch-spec-inline.v1")).value(), specs[1]);
  EXPECT_EQ(DecodeBatchSpec(ReadGolden("batch-spec-count.v1")).value(), specs[2]);
  for (const auto& want : samples::Wants()) {
    const std::string name(kWantFields.at(want.index()).name);
    EXPECT_EQ(DecodeWant(FieldOf(want), ReadGolden("batch-want-" + name + ".v1")).value(), want) << name;
  }
  EXPECT_EQ(DecodeBatchState(ReadGolden("batch-state.v1")).value(), samples::SampleBatchState());
}

TEST(Golden, OldItemsOnTheLinkAreRead) {
  const auto read = [](const std::string& name) {
    FrameReader frames;
    EXPECT_TRUE(frames.Feed(ReadGolden(name)));
    return link::DecodeLinkMessage(frames.Next().value()).value();
  };
  const auto exec = std::get<link::Exec>(read("link-03-item.v1"));
  EXPECT_EQ(exec.item, samples::SampleExecOfItem().item);
  EXPECT_EQ(exec.ref, samples::SampleExecOfItem().ref);
  EXPECT_EQ(std::get<link::Done>(read("link-08-offset.v1")), samples::SampleDoneWithOffset());
}

TEST(Golden, OldFunctionsAndUsageAreRead) {
  EXPECT_EQ(DecodeFunction(ReadGolden("function.v1")).value(), samples::SampleFunction());
  EXPECT_EQ(DecodeUsage(ReadGolden("usage.v1")).value(), samples::SampleUsage());
}

}  // namespace
}  // namespace hearth
