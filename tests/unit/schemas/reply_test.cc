// Replies mirror the form of their request and can be read back in every one.
#include <gtest/gtest.h>

#include <chrono>
#include <set>

#include "samples.h"
#include "schemas/json_text.h"
#include "schemas/limits.h"

namespace hearth {
namespace {

TEST(Reply, EveryFormComesBackAsItWas) {
  for (const auto form : samples::kForms) {
    const auto got = DecodeReply(samples::Received(EncodeReply(samples::SampleResult(), form, "hearth.reply")));
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(*got, samples::SampleResult()) << static_cast<int>(form);
  }
}

TEST(Reply, EveryFormCarriesTheDecidingHeaders) {
  for (const auto form : samples::kForms) {
    const OutRecord reply = EncodeReply(samples::SampleResult(), form, "hearth.reply");
    EXPECT_EQ(reply.topic, "hearth.reply");
    EXPECT_EQ(reply.key, "inv-1");
    std::map<std::string, std::string> headers;
    for (const auto& header : reply.headers) {
      EXPECT_TRUE(headers.emplace(header.name, header.value).second) << header.name << " is there twice";
    }
    EXPECT_EQ(headers["hearth-id"], "inv-1");
    EXPECT_EQ(headers["hearth-status"], "error");
    EXPECT_EQ(headers["hearth-attempt"], "2");
    EXPECT_EQ(headers["hearth-start-path"], "pool");
    EXPECT_EQ(headers["hearth-epoch"], "7");
    EXPECT_EQ(headers["traceparent"], samples::SampleResult().traceparent);
  }
}

TEST(Reply, OutputOfAnyBytesComesBack) {
  const std::string outputs[] = {"",
                                 "plain",
                                 std::string("\0\xff", 2),
                                 "[1,2]",
                                 std::string(20'000, '[') + std::string(20'000, ']'),
                                 std::string(kMaxOutputBytes, '\xff')};
  for (const auto form : samples::kForms) {
    for (const auto& output : outputs) {
      InvocationResult sent = samples::SampleResult();
      sent.output = output;
      const auto got = DecodeReply(samples::Received(EncodeReply(sent, form, "t")));
      ASSERT_TRUE(got) << got.error().message;
      EXPECT_EQ(got->output, output) << static_cast<int>(form);
    }
  }
}

// A function's output once reached a recursive writer: half a million brackets would have ended the executor.
TEST(Reply, DeepOutputDoesNotRecurse) {
  InvocationResult sent = samples::SampleResult();
  sent.output = std::string(kMaxOutputBytes / 2, '[') + std::string(kMaxOutputBytes / 2, ']');
  for (const auto form : samples::kForms) {
    const auto got = DecodeReply(samples::Received(EncodeReply(sent, form, "t")));
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(got->output.size(), kMaxOutputBytes);
  }
}

TEST(Reply, LongTextsOfUsersFitTheHeaders) {
  InvocationResult sent = samples::SampleResult();
  sent.error_message.assign(kMaxStringBytes, 'e');
  sent.error_type.assign(kMaxStringBytes, 't');
  sent.log_tail.assign(kMaxLogTailBytes, '\xff');
  for (const auto form : samples::kForms) {
    const OutRecord reply = EncodeReply(sent, form, "t");
    EXPECT_LE(reply.headers.size(), kMaxHeaders);
    for (const auto& header : reply.headers) EXPECT_LE(header.name.size() + header.value.size(), kMaxHeaderBytes);
    EXPECT_TRUE(DecodeReply(samples::Received(reply)));
  }
}

TEST(Reply, WhatIsNoReplyIsRefused) {
  EXPECT_FALSE(DecodeReply(Record{}));
  Record json{{"hearth.reply", 0}, 0, 0, "", "{", {{"content-type", "application/json"}}};
  EXPECT_FALSE(DecodeReply(json));
  Record status{
      {"hearth.reply", 0}, 0, 0, "", "", {{"hearth-id", "i"}, {"hearth-user", "u"}, {"hearth-status", "fine"}}};
  const auto decoded = DecodeReply(status);
  ASSERT_FALSE(decoded);
  EXPECT_NE(decoded.error().message.find("hearth-status"), std::string::npos);
}

TEST(Reply, IsTakenOnlyByTheRequestThatItAnswers) {
  Request request;
  request.id = InvocationId("1");
  request.user = UserId("ann");
  request.function = FunctionName("f");
  InvocationResult result;
  result.id = request.id;
  result.user = request.user;
  result.function = request.function;
  for (const auto form : {RequestForm::kHeaders, RequestForm::kMsgpack, RequestForm::kJson,
                          RequestForm::kCloudEventBinary, RequestForm::kCloudEventStructured}) {
    const auto answers = [&](const InvocationResult& sent) {
      auto out = EncodeReply(sent, form, "t");
      Record record;
      record.key = out.key;
      record.value = out.value;
      record.headers = out.headers;
      const auto decoded = DecodeReply(record);
      return decoded && Answers(*decoded, request);
    };
    EXPECT_TRUE(answers(result));
    InvocationResult foreign = result;
    foreign.user = UserId("bob");
    EXPECT_FALSE(answers(foreign));
    foreign = result;
    foreign.function = FunctionName("g");
    EXPECT_FALSE(answers(foreign));
    foreign = result;
    foreign.id = InvocationId("2");
    EXPECT_FALSE(answers(foreign));
  }
}

// A function that answers with control characters: escaped, each takes six bytes.
TEST(Reply, OutputsWhoseEscapesWouldFitNoTopicTravelAsBase64) {
  for (const RequestForm form : {RequestForm::kJson, RequestForm::kCloudEventStructured}) {
    InvocationResult result;
    result.id = InvocationId("one");
    result.output = std::string(900'000, '\x01');
    const OutRecord record = EncodeReply(result, form, "hearth.reply");
    EXPECT_LT(record.value.size(), kMaxReplyBytes);
  }
}

// Objects in an array: a parser that looks back at its parent with each of them takes minutes.
TEST(Json, AnyShapeIsReadInATimeThatGrowsWithItsSize) {
  const auto read_us = [](std::size_t objects) {
    std::string text = "{\"in\":[{}";
    for (std::size_t i = 1; i < objects; ++i) text += ",{}";
    text += "]}";
    const auto began = std::chrono::steady_clock::now();
    EXPECT_TRUE(fields::ParseJsonObject(text));
    EXPECT_TRUE(fields::ParseJsonValue(text));
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - began).count();
  };
  read_us(1'000);
  EXPECT_LT(read_us(300'000), 60 * std::max(1000.0, read_us(30'000)));
}

}  // namespace
}  // namespace hearth
