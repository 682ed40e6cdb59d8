// The line that says how an invocation got its place: bounded, and readable whatever was put in.
#include "schemas/why.h"

#include <gtest/gtest.h>

#include "samples.h"
#include "schemas/link.h"

namespace hearth {
namespace {

TEST(Why, WordsComeBack) {
  std::string why;
  AddWhy(why, "decided", "path");
  AddWhy(why, "queue_us", -12);
  AddWhy(why, "held_by", "");
  EXPECT_EQ(why, "decided=path queue_us=-12");
  const auto words = ParseWhy(why);
  ASSERT_EQ(words.size(), 2U);
  EXPECT_EQ(words[1], (std::pair<std::string, std::string>("queue_us", "-12")));
}

TEST(Why, ValuesCannotForgeWords) {
  std::string why;
  AddWhy(why, "decided", "a b=c\nhearth-status: ok");
  EXPECT_EQ(why, "decided=a_b_c_hearth-status:_ok");
  EXPECT_EQ(ParseWhy(why).size(), 1U);
}

TEST(Why, WhatDoesNotFitIsLeftOut) {
  std::string why;
  AddWhy(why, "a", std::string(500, 'x'));
  AddWhy(why, "b", std::string(20, 'y'));
  AddWhy(why, "c", "1");
  EXPECT_LE(why.size(), kMaxWhyBytes);
  EXPECT_EQ(ParseWhy(why).size(), 2U);
  EXPECT_EQ(ParseWhy(why)[1].first, "c");
}

TEST(Why, APeersLineIsCutAtAWholeWord) {
  EXPECT_EQ(CutWhy("a=1 b=2 c=3", 8), "a=1 b=2");
  EXPECT_EQ(CutWhy("a=1 b=2 c=3", 11), "a=1 b=2 c=3");
  EXPECT_EQ(CutWhy(std::string(1000, 'x')), "");
}

TEST(Why, AnythingCanBeParsed) {
  for (const char* text : {"", " ", "  a=1  ", "=", "=x", "a", "a=", "a==b"}) ParseWhy(text);
  EXPECT_EQ(ParseWhy("  a=1  =x b c=").size(), 2U);
}

// Written by an older peer: the array ends before the field.
TEST(Why, FieldsThatCameLaterMayBeAbsent) {
  link::Exec exec;
  exec.id = InvocationId("i");
  exec.payload = "p";
  std::string bytes;
  EXPECT_TRUE(link::AppendLinkMessage(bytes, exec));
  FrameReader reader;
  ASSERT_TRUE(reader.Feed(bytes));
  RawFrame frame = reader.Next().value();
  ASSERT_TRUE(frame.payload.ends_with("\xa0\xc0")) << "an empty why, and no item of a batch";
  frame.payload.resize(frame.payload.size() - 2);
  ASSERT_EQ(frame.payload.front(), '\x9f') << "15 fields";
  frame.payload.front() = '\x9d';
  const auto decoded = link::DecodeLinkMessage(frame);
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(std::get<link::Exec>(*decoded).payload, "p");
  EXPECT_EQ(std::get<link::Exec>(*decoded).why, "");
  frame.payload.front() = '\x9c';
  frame.payload.pop_back();  // the payload, bin8 of one byte
  frame.payload.pop_back();
  frame.payload.pop_back();
  EXPECT_FALSE(link::DecodeLinkMessage(frame)) << "the payload is not one of them";
}

TEST(Why, AReplyOfAnOlderExecutorIsRead) {
  InvocationResult result = samples::SampleResult();
  result.why.clear();
  for (const auto form : samples::kForms) {
    OutRecord record = EncodeReply(result, form, "t");
    if (form == RequestForm::kMsgpack) {  // the one form that writes empty fields
      const auto at = record.value.find(std::string("\xa3why\xa0"));
      ASSERT_NE(at, std::string::npos);
      record.value.erase(at, 5);
      ASSERT_EQ(record.value[0], '\xde');
      --record.value[2];
    }
    const auto got = DecodeReply(samples::Received(record));
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(*got, result);
  }
}

}  // namespace
}  // namespace hearth
