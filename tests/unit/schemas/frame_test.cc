#include "schemas/frame.h"

#include <gtest/gtest.h>

#include "schemas/limits.h"

namespace hearth {
namespace {

TEST(FrameReader, CutsAStreamWhereverItIsSplit) {
  std::string stream;
  EXPECT_TRUE(AppendFrame(stream, 1, 7, "abc"));
  EXPECT_TRUE(AppendFrame(stream, 2, 0xfffffffeU, ""));
  EXPECT_TRUE(AppendFrame(stream, 3, 0, std::string(70'000, 'x')));
  for (const std::size_t piece : {std::size_t{1}, std::size_t{5}, std::size_t{9}, std::size_t{4096}, stream.size()}) {
    FrameReader reader;
    std::vector<RawFrame> frames;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      ASSERT_TRUE(reader.Feed(std::string_view(stream).substr(at, piece)));
      while (auto frame = reader.Next()) frames.push_back(std::move(*frame));
    }
    ASSERT_EQ(frames.size(), 3U) << piece;
    EXPECT_EQ(frames[0].type, 1);
    EXPECT_EQ(frames[0].stream, 7U);
    EXPECT_EQ(frames[0].payload, "abc");
    EXPECT_EQ(frames[1].stream, 0xfffffffeU);
    EXPECT_EQ(frames[2].payload.size(), 70'000U);
    EXPECT_EQ(reader.buffered_bytes(), 0U);
  }
}

TEST(FrameReader, RefusesADeclaredLengthAboveTheLimitAtTheHead) {
  FrameReader reader;
  const auto fed = reader.Feed(std::string("\xff\xff\xff\xff\x01\0\0\0\0", 9));
  ASSERT_FALSE(fed);
  EXPECT_EQ(fed.error().code, Code::kExhausted);
  EXPECT_FALSE(reader.Next().has_value());
}

TEST(FrameReader, RefusesABadHeadBehindAGoodFrame) {
  std::string stream;
  EXPECT_TRUE(AppendFrame(stream, 1, 0, "fine"));
  stream += std::string("\xff\xff\xff\x7f\x01\0\0\0\0", 9);
  FrameReader reader;
  EXPECT_FALSE(reader.Feed(stream));
}

TEST(FrameReader, TakesAFrameOfExactlyTheLimit) {
  std::string stream;
  EXPECT_TRUE(AppendFrame(stream, 1, 0, std::string(kMaxFrameBytes, 'x')));
  FrameReader reader;
  ASSERT_TRUE(reader.Feed(stream));
  EXPECT_EQ(reader.Next()->payload.size(), kMaxFrameBytes);
}

TEST(Frame, WhatNoFrameHoldsIsRefusedAndNothingIsWritten) {
  std::string out = "before";
  const auto appended = AppendFrame(out, 1, 0, std::string(kMaxFrameBytes + 1, 'x'));
  ASSERT_FALSE(appended);
  EXPECT_EQ(appended.error().code, Code::kExhausted);
  EXPECT_EQ(out, "before");
}

}  // namespace
}  // namespace hearth
