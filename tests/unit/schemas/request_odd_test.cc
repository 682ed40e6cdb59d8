// What producers of every kind write into fields: null, the same field twice, traces that are none, ids of other
// systems, media types in any case. Each kind is tried in every form and field.
#include <gtest/gtest.h>

#include <msgpack.hpp>
#include <optional>
#include <string>
#include <vector>

#include "samples.h"
#include "schemas/limits.h"
#include "schemas/request.h"

namespace hearth {
namespace {

// One field of a request, named as Names has it; without a text it is null.
struct Field {
  std::string name;
  std::optional<std::string> text;
  bool number = false;  // in a map
};

// Where a form carries each field.
std::string NameIn(RequestForm form, const std::string& name) {
  const bool event = form == RequestForm::kCloudEventBinary || form == RequestForm::kCloudEventStructured;
  const std::string prefix = form == RequestForm::kCloudEventBinary ? "ce_" : "";
  if (event) {
    if (name == "id" || name == "type" || name == "specversion" || name == "partitionkey") return prefix + name;
    if (name == "trace") return prefix + "traceparent";
    if (name == "content-type") return form == RequestForm::kCloudEventBinary ? "content-type" : "datacontenttype";
    std::string plain;
    for (const char c : name) plain += c == '-' ? "" : std::string(1, c);
    return prefix + "hearth" + plain;
  }
  if (name == "trace") return "traceparent";
  if (form == RequestForm::kHeaders) return name == "content-type" ? name : "hearth-" + name;
  std::string plain = name;
  std::replace(plain.begin(), plain.end(), '-', '_');
  return plain;
}

std::string JsonOf(RequestForm form, const std::vector<Field>& fields, const std::string& payload) {
  std::string text = "{";
  for (const auto& [name, value, number] : fields) {
    const std::string literal = !value ? "null" : number ? *value : "\"" + *value + "\"";
    text += "\"" + NameIn(form, name) + "\":" + literal + ",";
  }
  return text + "\"" + (form == RequestForm::kJson ? "in" : "data") + "\":\"" + payload + "\"}";
}

std::string MsgpackOf(RequestForm form, const std::vector<Field>& fields, const std::string& payload) {
  msgpack::sbuffer buffer;
  msgpack::packer packer(buffer);
  packer.pack_map(static_cast<std::uint32_t>(fields.size() + 1));
  for (const auto& [name, value, number] : fields) {
    packer.pack(NameIn(form, name));
    if (!value) {
      packer.pack_nil();
    } else if (number) {
      packer.pack(std::stoll(*value));
    } else {
      packer.pack(*value);
    }
  }
  packer.pack("in");
  packer.pack(payload);
  return {buffer.data(), buffer.size()};
}

// A request in that form, with its own fields before `more`.
Record Make(RequestForm form, const std::vector<Field>& more, const std::string& payload = "x") {
  std::vector<Field> fields = {{"fn", "f"}, {"user", "u"}, {"id", "i"}, {"reply-to", "reply.u"}};
  if (form == RequestForm::kCloudEventBinary || form == RequestForm::kCloudEventStructured) {
    fields.push_back({"specversion", "1.0"});
  }
  fields.insert(fields.end(), more.begin(), more.end());
  Record record{{"hearth.invoke.std", 3}, 42, 0, "", payload, {}};
  switch (form) {
    case RequestForm::kHeaders:
    case RequestForm::kCloudEventBinary:
      for (const auto& [name, value, number] : fields) {
        record.headers.push_back({NameIn(form, name), value.value_or(""), !value.has_value()});
      }
      break;
    case RequestForm::kMsgpack:
      record.headers.push_back({"content-type", "application/msgpack"});
      record.value = MsgpackOf(form, fields, payload);
      break;
    case RequestForm::kJson:
      record.headers.push_back({"content-type", "application/json"});
      record.value = JsonOf(form, fields, payload);
      break;
    case RequestForm::kCloudEventStructured:
      record.headers.push_back({"content-type", "application/cloudevents+json"});
      record.value = JsonOf(form, fields, payload);
      break;
  }
  return record;
}

constexpr const char* kTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

class OddRequest : public testing::TestWithParam<RequestForm> {
 protected:
  // Decodes it, and says why not.
  Request Good(const std::vector<Field>& more, const std::string& payload = "x") {
    const auto got = DecodeRequest(Make(GetParam(), more, payload));
    EXPECT_TRUE(got) << got.error().message;
    return got.value_or(Request{});
  }
  [[nodiscard]] bool IsEvent() const {
    return GetParam() == RequestForm::kCloudEventBinary || GetParam() == RequestForm::kCloudEventStructured;
  }
};

TEST_P(OddRequest, NullIsAbsentInEveryField) {
  for (const char* name : {"reply-to", "order-key", "expires", "timeout-ms", "trace", "content-type", "id"}) {
    const Request got = Good({{name, std::nullopt}});
    EXPECT_EQ(got.form, GetParam()) << name;
    const std::string field = name;
    EXPECT_EQ(got.reply_to, field == "reply-to" ? "" : "reply.u");
    EXPECT_EQ(got.id.value, field == "id" ? "hearth.invoke.std-3-42" : "i");
  }
  for (const char* name : {"user", "fn"}) {
    Refusal refusal;
    const auto got = DecodeRequest(Make(GetParam(), {{name, std::nullopt}}), &refusal);
    ASSERT_FALSE(got) << "null is absent, and this one is required: " << name;
  }
  if (IsEvent()) Good({{"partitionkey", std::nullopt}, {"type", std::nullopt}});
  if (GetParam() == RequestForm::kJson || GetParam() == RequestForm::kMsgpack) {
    Good({{"v", std::nullopt}, {"in_b64", std::nullopt}});
  }
  if (GetParam() == RequestForm::kCloudEventStructured) Good({{"data_base64", std::nullopt}});
}

TEST_P(OddRequest, OfEqualFieldsTheLastCounts) {
  EXPECT_EQ(Good({{"fn", "g"}}).function.value, "g");
  EXPECT_EQ(Good({{"user", "v"}}).user.value, "v");
  EXPECT_EQ(Good({{"id", "j"}}).id.value, "j");
  EXPECT_EQ(Good({{"reply-to", "reply.v"}}).reply_to, "reply.v");
  EXPECT_EQ(Good({{"order-key", "a"}, {"order-key", "b"}}).order_key, "b");
  EXPECT_EQ(Good({{"timeout-ms", "1", true}, {"timeout-ms", "2", true}}).timeout_ms, 2);
  EXPECT_EQ(Good({{"expires", "1", true}, {"expires", "2", true}}).expires_ms, 2);
  EXPECT_EQ(Good({{"content-type", "text/plain"}, {"content-type", "text/html"}}).content_type, "text/html");
  EXPECT_EQ(Good({{"trace", "rubbish"}, {"trace", kTrace}}).traceparent, kTrace);
  if (IsEvent()) {
    EXPECT_EQ(Good({{"partitionkey", "a"}, {"partitionkey", "b"}}).order_key, "b");
    EXPECT_EQ(Good({{"order-key", "own"}, {"partitionkey", "other"}}).order_key, "own");
    EXPECT_EQ(Good({{"partitionkey", "other"}, {"order-key", "own"}}).order_key, "own");
  }
}

TEST_P(OddRequest, ATraceThatIsNoneIsLeftOut) {
  EXPECT_EQ(Good({{"trace", kTrace}}).traceparent, kTrace);
  const std::string later = "01" + std::string(kTrace).substr(2) + "-more";
  EXPECT_EQ(Good({{"trace", later}}).traceparent, later);
  std::string upper = kTrace;
  upper[4] = 'A';
  std::vector<std::string> wrong = {std::string(300, 'a'), "a b", "", "00", upper, std::string(kTrace) + "-00"};
  wrong.push_back("ff" + std::string(kTrace).substr(2));
  wrong.push_back("00-" + std::string(32, '0') + "-b7ad6b7169203331-01");
  wrong.push_back("00-0af7651916cd43dd8448eb211c80319c-" + std::string(16, '0') + "-01");
  for (const auto& trace : wrong) EXPECT_EQ(Good({{"trace", trace}}).traceparent, "") << trace;
  const bool headers = GetParam() == RequestForm::kHeaders || GetParam() == RequestForm::kCloudEventBinary;
  if (!headers) return;  // a JSON text has neither
  EXPECT_EQ(Good({{"trace", std::string(kTrace) + "\nx: y"}}).traceparent, "");
  EXPECT_EQ(Good({{"trace", std::string("\xff\x00", 2)}}).traceparent, "");
}

// Each has good names and one thing that is wrong.
std::vector<std::pair<std::string, Record>> Wrong(RequestForm form) {
  std::vector<std::pair<std::string, Record>> wrong = {
      {"payload", Make(form, {}, std::string(2U << 20, 'x'))},
      {"large payload", Make(form, {}, std::string(6U << 20, 'x'))},
      {"time-out", Make(form, {{"timeout-ms", "3600000", true}})},
      {"negative time-out", Make(form, {{"timeout-ms", "-1", true}})},
      {"date", Make(form, {{"expires", "2026-12-01T00:00:00Z"}})},
      {"order key", Make(form, {{"order-key", std::string(kMaxIdentifierBytes + 1, 'k')}})},
      {"function", Make(form, {{"fn", "../f"}})},
      {"no function", Make(form, {{"fn", ""}})},
      {"content type", Make(form, {{"content-type", std::string(kMaxContentTypeBytes + 1, 't')}})}};
  Record many = Make(form, {});
  many.headers.insert(many.headers.begin(), kMaxHeaders + 1, Header{"x", "y"});
  wrong.emplace_back("headers", many);
  Record header = Make(form, {});
  header.headers.push_back({"x", std::string(kMaxHeaderBytes, 'y')});
  wrong.emplace_back("a header", header);
  return wrong;
}

TEST_P(OddRequest, WhoAskedIsKnownWhateverElseIsWrong) {
  for (const auto& [what, record] : Wrong(GetParam())) {
    Refusal refusal;
    const auto got = DecodeRequest(record, &refusal);
    ASSERT_FALSE(got) << what;
    EXPECT_TRUE(refusal.answerable) << what;
    EXPECT_EQ(refusal.request.id.value, "i") << what;
    EXPECT_EQ(refusal.request.user.value, "u") << what;
    EXPECT_EQ(refusal.request.reply_to, "reply.u") << what;
    EXPECT_EQ(refusal.request.form, GetParam()) << what;
    EXPECT_LT(got.error().message.size(), 300U) << what;
  }
}

TEST_P(OddRequest, ARefusalCarriesNoNameThatWasNotChecked) {
  const std::string many = std::string(1'000'000, 'a');
  for (const std::string& bad : {std::string(kMaxEventIdBytes + 1, 'a'), many, std::string("a/../b\x7f")}) {
    for (const char* name : {"id", "user", "reply-to", "fn"}) {
      Refusal refusal;
      ASSERT_FALSE(DecodeRequest(Make(GetParam(), {{name, bad}}), &refusal)) << name;
      EXPECT_EQ(refusal.answerable, std::string(name) == "fn") << name;
      EXPECT_LE(refusal.request.id.value.size(), kMaxIdentifierBytes) << name;
      EXPECT_LE(refusal.request.user.value.size(), kMaxIdentifierBytes) << name;
      EXPECT_LE(refusal.request.function.value.size(), kMaxIdentifierBytes) << name;
      EXPECT_LE(refusal.request.reply_to.size(), kMaxIdentifierBytes) << name;
    }
  }
}

TEST_P(OddRequest, HeadersOfHearthsOwnCountAgainstNobody) {
  Record record = Make(GetParam(), {});
  record.headers.insert(record.headers.begin(), kMaxHeaders - record.headers.size(), Header{"x", "y"});
  ASSERT_TRUE(DecodeRequest(record));
  for (const char* name : {"reason", "attempts", "first-seen", "error", "topic", "partition", "offset"}) {
    record.headers.push_back({std::string("hearth-dead-") + name, "z"});
  }
  record.headers.push_back({"hearth-cut-value-bytes", "1"});
  record.headers.push_back({"hearth-undeliverable-error", std::string(kMaxHeaderBytes, 'z')});
  const auto got = DecodeRequest(record);
  EXPECT_TRUE(got) << got.error().message;
}

TEST_P(OddRequest, AnExpiryFarAwayIsWithinTheCalendar) {
  EXPECT_EQ(Good({{"expires", "9223372036854775807", true}}).expires_ms, kMaxTimeMs);
}

INSTANTIATE_TEST_SUITE_P(Forms, OddRequest, testing::ValuesIn(samples::kForms),
                         [](const auto& form) { return "form" + std::to_string(static_cast<int>(form.param)); });

TEST(OddEvent, AnyIdRuns) {
  for (const auto form : {RequestForm::kCloudEventBinary, RequestForm::kCloudEventStructured}) {
    for (const std::string id :
         {"partition:1/offset:24", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", "a b", "ä/ö", "{}", "?"}) {
      const auto got = DecodeRequest(Make(form, {{"id", id}}));
      ASSERT_TRUE(got) << got.error().message;
      EXPECT_EQ(got->id.value, id);
      InvocationResult result;
      result.id = got->id;
      const auto read = DecodeReply(samples::Received(EncodeReply(result, form, "r")));
      ASSERT_TRUE(read) << read.error().message;
      EXPECT_EQ(read->id.value, id);
    }
  }
  EXPECT_FALSE(DecodeRequest(Make(RequestForm::kCloudEventBinary, {{"id", "a\nb"}})));
  EXPECT_FALSE(DecodeRequest(Make(RequestForm::kCloudEventBinary, {{"id",
                                                                    "a\xc2\x9b"
                                                                    "b"}})));
  EXPECT_FALSE(DecodeRequest(Make(RequestForm::kCloudEventBinary, {{"id", "\xff"}})));
}

TEST(OddEvent, MediaTypesHaveNoCase) {
  const auto form = [](const std::string& type, const std::string& value) {
    Record record = Make(RequestForm::kHeaders, {});
    record.headers = {{"content-type", type}};
    record.value = value;
    const auto got = DecodeRequest(record);
    EXPECT_TRUE(got) << type << ": " << got.error().message;
    return got ? got->form : RequestForm::kHeaders;
  };
  const std::string event = Make(RequestForm::kCloudEventStructured, {}).value;
  const std::string json = Make(RequestForm::kJson, {}).value;
  const std::string msgpack = Make(RequestForm::kMsgpack, {}).value;
  EXPECT_EQ(form("Application/CloudEvents+JSON", event), RequestForm::kCloudEventStructured);
  EXPECT_EQ(form("application/cloudevents+json ;charset=utf-8", event), RequestForm::kCloudEventStructured);
  for (const char* type :
       {"APPLICATION/JSON", "application/vnd.x+json", "text/json; charset=UTF-8", " application/json"})
    EXPECT_EQ(form(type, json), RequestForm::kJson);
  EXPECT_EQ(form("text/plain", "\n " + json), RequestForm::kJson) << "by its first byte";
  for (const char* type : {"Application/MsgPack", "application/X-msgpack", "application/vnd.msgpack"})
    EXPECT_EQ(form(type, msgpack), RequestForm::kMsgpack);
}

TEST(OddEvent, TextUnderAJsonTypeIsAJsonText) {
  const auto payload = [](const std::string& type) {
    const auto got = DecodeRequest(Make(RequestForm::kCloudEventStructured, {{"content-type", type}}, "text"));
    EXPECT_TRUE(got);
    return got ? got->payload : "";
  };
  for (const char* type :
       {"application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json", "text/json"})
    EXPECT_EQ(payload(type), "\"text\"") << type;
  for (const char* type : {"text/plain", "application/jsonp", "application/xml"})
    EXPECT_EQ(payload(type), "text") << type;
}

TEST(OddRecord, ATimeThatIsNotKnownIsAbsent) {
  EXPECT_EQ(KnownTimeMs(-1), 0);
  EXPECT_EQ(KnownTimeMs(INT64_MAX), 0);
  EXPECT_EQ(KnownTimeMs(INT64_MIN), 0);
  EXPECT_EQ(KnownTimeMs(1'700'000'000'000'000), 0) << "microseconds";
  EXPECT_EQ(KnownTimeMs(1'700'000'000'000), 1'700'000'000'000);
}

}  // namespace
}  // namespace hearth
