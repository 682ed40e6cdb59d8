// Requests: every form in, every wrong thing refused with its field's name.
#include "schemas/request.h"

#include <gtest/gtest.h>

#include <msgpack.hpp>

#include "samples.h"
#include "schemas/limits.h"

namespace hearth {
namespace {

Record Make(std::vector<Header> headers, std::string value) {
  return Record{{"hearth.invoke.std", 3}, 42, 0, "", std::move(value), std::move(headers)};
}
Record Headers(std::vector<Header> more, std::string value = "x") {
  std::vector<Header> headers = {{"hearth-fn", "f"}, {"hearth-user", "u"}};
  headers.insert(headers.end(), more.begin(), more.end());
  return Make(headers, std::move(value));
}
Record Json(std::string value) {
  return Make({{"content-type", "application/json"}}, std::move(value));
}

void ExpectRefused(const Record& record, Code code, std::string_view named) {
  const auto decoded = DecodeRequest(record);
  ASSERT_FALSE(decoded) << named;
  EXPECT_EQ(decoded.error().code, code) << decoded.error().message;
  EXPECT_NE(decoded.error().message.find(named), std::string::npos) << decoded.error().message;
}

TEST(Request, EveryFormComesBackAsItWas) {
  for (const auto form : samples::kForms) {
    const Request sent = samples::SampleRequest(form);
    const auto got = DecodeRequest(samples::Received(EncodeRequest(sent, "hearth.invoke.std")));
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(got->form, form);
    EXPECT_EQ(got->id, sent.id);
    EXPECT_EQ(got->user, sent.user);
    EXPECT_EQ(got->function, sent.function);
    EXPECT_EQ(got->reply_to, sent.reply_to);
    EXPECT_EQ(got->order_key, sent.order_key);
    EXPECT_EQ(got->traceparent, sent.traceparent);
    EXPECT_EQ(got->content_type, sent.content_type);
    EXPECT_EQ(got->expires_ms, sent.expires_ms);
    EXPECT_EQ(got->timeout_ms, sent.timeout_ms);
    EXPECT_EQ(got->payload, sent.payload);
  }
}

TEST(Request, BytesThatAreNoTextTravelInEveryForm) {
  for (const auto form : samples::kForms) {
    Request sent = samples::SampleRequest(form);
    sent.content_type = "application/octet-stream";
    sent.payload = std::string("\0\xff\xfe{", 4);
    const auto got = DecodeRequest(samples::Received(EncodeRequest(sent, "t")));
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(got->payload, sent.payload);
  }
}

TEST(Request, WithoutAnIdItIsNamedByItsPlace) {
  EXPECT_EQ(DecodeRequest(Headers({}))->id.str(), "hearth.invoke.std-3-42");
  Record record = Headers({});
  record.partition.topic = std::string(249, 't');
  const auto got = DecodeRequest(record);
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_TRUE(IsIdentifier(got->id.str()));
}

TEST(Request, MapsAreKnownByTheirFirstByte) {
  EXPECT_EQ(DecodeRequest(Make({}, R"({"fn":"f","user":"u","in":{"b":[1,2]}})"))->payload, R"({"b":[1,2]})");
  const std::string map(
      "\x83\xa2"
      "fn\xa1"
      "f\xa4"
      "user\xa1u\xa2in\xa3xyz");
  const auto got = DecodeRequest(Make({}, map));
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->form, RequestForm::kMsgpack);
  EXPECT_EQ(got->payload, "xyz");
}

TEST(Request, WhatIsNoRequestSaysSo) {
  ExpectRefused(Make({}, ""), Code::kInvalid, "not a request");
  ExpectRefused(Make({}, "hello"), Code::kInvalid, "not a request");
  ExpectRefused(Make({{"content-type", "text/plain"}}, "hello"), Code::kInvalid, "not a request");
  ExpectRefused(Json("[1]"), Code::kInvalid, "object");
  ExpectRefused(Json("{"), Code::kInvalid, "JSON");
}

TEST(Request, AbsentFieldsAreNamed) {
  ExpectRefused(Make({{"hearth-fn", "f"}}, ""), Code::kInvalid, "user");
  ExpectRefused(Json(R"({"user":"u"})"), Code::kInvalid, "fn");
  ExpectRefused(Make({{"ce_specversion", "1.0"}, {"ce_hearthuser", "u"}, {"ce_type", "other"}}, ""), Code::kInvalid,
                "fn");
  ExpectRefused(Make({{"ce_type", "hearth.invoke.f"}, {"ce_hearthuser", "u"}}, ""), Code::kInvalid, "ce_specversion");
}

TEST(Request, WrongTypesAreNamed) {
  ExpectRefused(Json(R"({"fn":7,"user":"u"})"), Code::kInvalid, "fn");
  ExpectRefused(Json(R"({"fn":"f","user":"u","timeout_ms":"1"})"), Code::kInvalid, "timeout_ms");
  ExpectRefused(Json(R"({"fn":"f","user":"u","timeout_ms":1e9})"), Code::kInvalid, "timeout_ms");
  ExpectRefused(Json(R"({"fn":"f","user":"u","timeout_ms":99999999999})"), Code::kInvalid, "timeout_ms");
  ExpectRefused(Json(R"({"fn":"f","user":"u","in_b64":"?"})"), Code::kInvalid, "in_b64");
  ExpectRefused(Make({}, std::string("\x81\xa2"
                                     "fn\x07")),
                Code::kInvalid, "fn");
  ExpectRefused(Headers({{"hearth-expires", "soon"}}), Code::kInvalid, "hearth-expires");
  ExpectRefused(Headers({{"hearth-timeout-ms", "5s"}}), Code::kInvalid, "hearth-timeout-ms");
  ExpectRefused(Headers({{"hearth-timeout-ms", "99999999999999999999"}}), Code::kInvalid, "hearth-timeout-ms");
}

TEST(Request, EveryLimitIsNamed) {
  ExpectRefused(Headers({}, std::string(kMaxPayloadBytes + 1, 'x')), Code::kExhausted,
                std::to_string(kMaxPayloadBytes));
  EXPECT_TRUE(DecodeRequest(Headers({}, std::string(kMaxPayloadBytes, 'x'))));
  ExpectRefused(Headers({}, std::string(kMaxRecordBytes + 1, 'x')), Code::kExhausted, std::to_string(kMaxRecordBytes));
  ExpectRefused(Headers({{"x", std::string(kMaxHeaderBytes, 'x')}}), Code::kExhausted, "header");
  EXPECT_TRUE(DecodeRequest(Headers({{"x", std::string(kMaxHeaderBytes - 1, 'x')}})));
  ExpectRefused(Headers(std::vector<Header>(kMaxHeaders, Header{"x", ""})), Code::kExhausted, "headers");
  ExpectRefused(Headers({{"hearth-id", std::string(kMaxIdentifierBytes + 1, 'x')}}), Code::kExhausted, "id");
  EXPECT_TRUE(DecodeRequest(Headers({{"hearth-id", std::string(kMaxIdentifierBytes, 'x')}})));
  ExpectRefused(Headers({{"hearth-order-key", std::string(kMaxIdentifierBytes + 1, 'x')}}), Code::kExhausted,
                "order_key");
  ExpectRefused(Headers({{"hearth-timeout-ms", std::to_string(kMaxTimeoutMs + 1)}}), Code::kInvalid, "timeout");
  ExpectRefused(Headers({{"hearth-timeout-ms", "-1"}}), Code::kInvalid, "timeout");
  ExpectRefused(Headers({{"hearth-expires", "-1"}}), Code::kInvalid, "expires");
  ExpectRefused(Headers({{"hearth-id", "a b"}}), Code::kInvalid, "id");
  ExpectRefused(Headers({{"hearth-reply-to", "../x"}}), Code::kInvalid, "reply_to");
  ExpectRefused(Headers({{"content-type", "\xff"}}), Code::kInvalid, "content_type");
  Request large = samples::SampleRequest(RequestForm::kMsgpack);
  large.payload.assign(kMaxPayloadBytes + 1, 'x');
  ExpectRefused(samples::Received(EncodeRequest(large, "t")), Code::kExhausted, "'in'");
}

TEST(Request, BombsAreRefusedBeforeTheyAreUnpacked) {
  ExpectRefused(Make({{"content-type", "application/msgpack"}}, std::string(500'000, '\x91') + '\x01'),
                Code::kExhausted, "deeper");
  ExpectRefused(Make({}, std::string("\xdf\xff\xff\xff\xff", 5)), Code::kInvalid, "declares");
  ExpectRefused(Make({}, std::string("\x81\xa2in\xc6\xff\xff\xff\xff", 9)), Code::kInvalid, "declares");
  const std::string deep =
      R"({"fn":"f","user":"u","in":)" + std::string(500'000, '[') + std::string(500'000, ']') + "}";
  ExpectRefused(Json(deep), Code::kExhausted, "deeper");
  ExpectRefused(Make({{"content-type", "application/cloudevents+json"}}, deep), Code::kExhausted, "deeper");
  std::string wide = "{";
  for (std::size_t i = 0; i <= kMaxMapKeys; ++i) wide += (i == 0 ? "\"k" : ",\"k") + std::to_string(i) + "\":1";
  ExpectRefused(Json(wide + "}"), Code::kExhausted, "fields");
}

TEST(Request, CloudEventsOfForeignLibrariesAreRead) {
  const auto binary = DecodeRequest(Make({{"ce_specversion", "1.0"},
                                          {"ce_id", "e1"},
                                          {"ce_source", "/shop"},
                                          {"ce_time", "2026-01-01T00:00:00Z"},
                                          {"ce_type", "hearth.invoke.f"},
                                          {"ce_hearthuser", "u"},
                                          {"ce_partitionkey", "k"}},
                                         "data"));
  ASSERT_TRUE(binary) << binary.error().message;
  EXPECT_EQ(binary->function.str(), "f");
  EXPECT_EQ(binary->order_key, "k");
  const auto structured = DecodeRequest(Make(
      {{"content-type", "application/cloudevents+json; charset=utf-8"}},
      R"({"specversion":"1.0","id":"e2","source":"/shop","type":"x","hearthfn":"f","hearthuser":"u","hearthtimeoutms":5,"datacontenttype":"application/json; charset=utf-8","data":"text"})"));
  ASSERT_TRUE(structured) << structured.error().message;
  EXPECT_EQ(structured->timeout_ms, 5);
  EXPECT_EQ(structured->payload, "\"text\"");
}

}  // namespace
}  // namespace hearth
