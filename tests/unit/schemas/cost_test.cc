// Any shape of input, as large as a record may be, is read and written in a time that a loop can bear.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "schemas/function.h"
#include "schemas/guest.h"
#include "schemas/json_text.h"
#include "schemas/link.h"
#include "schemas/pool_settings.h"
#include "schemas/pool_status.h"
#include "schemas/request.h"
#include "schemas/result.h"
#include "schemas/usage.h"
#include "schemas/why.h"
#include "tests/fuzz/cost.h"

namespace hearth {
namespace {

using fuzz::FloorMs;
using fuzz::kFullSize;
using fuzz::kMostFloors;
using fuzz::Repeat;

constexpr std::size_t kShapeBytes = kFullSize - (96U << 10);  // leaves room for the fields around it

struct Shape {
  std::string name;
  std::string bytes;
};

std::string Times(std::size_t count, const std::function<std::string(std::size_t)>& part, std::size_t bytes) {
  std::string text;
  for (std::size_t i = 0; i < count && text.size() + 32 < bytes; ++i) text += part(i);
  return text;
}

// JSON values, most of them good ones.
std::vector<Shape> JsonShapes() {
  const auto array = [](std::string_view element) {
    return "[0" + Repeat("," + std::string(element), kShapeBytes - 3) + "]";
  };
  const auto object = [](const std::function<std::string(std::size_t)>& key) {
    return "{\"\":0" + Times(kShapeBytes, [&](std::size_t i) { return ",\"" + key(i) + "\":0"; }, kShapeBytes) + "}";
  };
  const std::string nested = std::string(25, '[') + std::string(25, ']');
  const std::string nested_objects = Repeat("{\"a\":", 5 * 25) + "0" + std::string(25, '}');
  std::vector<Shape> shapes = {
      {"objects", array("{}")},
      {"arrays", array("[]")},
      {"filled objects", array("{\"a\":1}")},
      {"objects in objects", array(nested_objects)},
      {"arrays in arrays", array(nested)},
      {"digits", array("0")},
      {"numbers", array("1.7976931348623157e308")},
      {"numbers that grow when written", array("1E9")},
      {"long integers", array("18446744073709551615")},
      {"words", array("null")},
      {"texts", array("\"\"")},
      {"long texts", array("\"" + std::string(1000, 'a') + "\"")},
      {"escapes", array("\"\\u0001\\n\\ud83d\\ude00\"")},
      {"one long integer", std::string(kShapeBytes, '7')},
      {"one long fraction", "0." + std::string(kShapeBytes - 2, '3')},
      {"one small fraction", "0." + std::string(kShapeBytes - 3, '0') + "1"},
      {"one long exponent", "1e-" + std::string(kShapeBytes - 3, '9')},
      {"one text", "\"" + std::string(kShapeBytes - 2, 'a') + "\""},
      {"one text of escapes", "\"" + Repeat("\\u0000", kShapeBytes - 2) + "\""},
      {"one text of surrogates", "\"" + Repeat("\\ud83d\\ude00", kShapeBytes - 2) + "\""},
      {"many keys", object([](std::size_t i) { return std::to_string(i); })},
      {"many keys that begin alike", object([](std::size_t i) { return std::string(500, 'k') + std::to_string(i); })},
      {"one key many times", object([](std::size_t) { return std::string("k"); })},
      {"space", "[" + std::string(kShapeBytes - 2, ' ') + "]"},
      {"nested without end", std::string(kShapeBytes, '[')},
      {"nested objects without end", Repeat("{\"a\":", kShapeBytes)},
      {"not closed", "[0" + Repeat(",{}", kShapeBytes - 2)},
      {"a text that is not closed", "\"" + std::string(kShapeBytes - 1, 'a')},
      {"not UTF-8", "\"" + std::string(kShapeBytes - 2, '\xff') + "\""},
      {"control characters", std::string(kShapeBytes, '\x01')},
      {"zeros", std::string(kShapeBytes, '\0')},
  };
  return shapes;
}

std::string Big(char lead, std::size_t count) {  // the head of an array (dd), map (df), str (db) or bin (c6)
  std::string head(1, lead);
  for (int shift = 24; shift >= 0; shift -= 8) head += static_cast<char>(count >> shift & 0xffU);
  return head;
}

std::vector<Shape> MsgpackShapes() {
  const auto array = [](const std::string& element) {
    const std::string all = Repeat(element, kShapeBytes - 5);
    return Big('\xdd', all.size() / element.size()) + all;
  };
  const auto map = [](const std::string& pair) {
    const std::string all = Repeat(pair, kShapeBytes - 5);
    return Big('\xdf', all.size() / pair.size()) + all;
  };
  return {
      {"nils", array("\xc0")},
      {"arrays", array("\x90")},
      {"maps", array("\x80")},
      {"filled maps", array("\x81\xa1"
                            "a\x01")},
      {"texts", array("\xa0")},
      {"bytes", array(std::string("\xc4\x00", 2))},
      {"numbers", array("\xcf\xff\xff\xff\xff\xff\xff\xff\xff")},
      {"fractions", array(std::string("\xcb\x7f\xef\xff\xff\xff\xff\xff\xff"))},
      {"arrays in arrays", array(std::string(25, '\x91') + "\x01")},
      {"one key many times", map("\xa1k\x01")},
      {"known keys many times", map("\xa4user\x01")},
      {"keys of numbers", map("\x01\x01")},
      {"keys of arrays", map("\x90\x90")},
      {"one text", Big('\xdb', kShapeBytes - 5) + std::string(kShapeBytes - 5, 'a')},
      {"one of bytes", Big('\xc6', kShapeBytes - 5) + std::string(kShapeBytes - 5, '\xff')},
      {"nested without end", std::string(kShapeBytes, '\x91')},
      {"declared and not there", Repeat("\xdd\x7f\xff\xff\xff", kShapeBytes)},
  };
}

class Cost : public testing::Test {
 protected:
  // The least of three: what comes between costs more, never less.
  static void Bounded(const std::string& what, const std::function<void()>& act) {
    double least = 1e9;
    for (int i = 0; i < 3 && least >= kMostFloors * FloorMs(); ++i) {
      const double began = fuzz::CpuMs();
      act();
      least = std::min(least, fuzz::CpuMs() - began);
    }
    EXPECT_LT(least, kMostFloors * FloorMs()) << what;
    if (least > worst_) {
      worst_ = least;
      worst_name_ = what;
    }
  }
  static void TearDownTestSuite() {
    testing::Test::RecordProperty("worst", worst_name_);
    std::printf("most: %.1f ms (%s); the floor: %.1f ms\n", worst_, worst_name_.c_str(), FloorMs());
  }

 private:
  static double worst_;
  static std::string worst_name_;
};
double Cost::worst_ = 0;
std::string Cost::worst_name_;

Record RecordOf(const OutRecord& sent) {
  return Record{{"t", 0}, 0, 0, sent.key, sent.value, sent.headers};
}
Record RecordOf(const std::string& type, std::string value) {
  return Record{{"t", 0}, 0, 0, "", std::move(value), {{"content-type", type}}};
}

TEST_F(Cost, RequestsAndRepliesInJsonOfAnyShape) {
  for (const auto& shape : JsonShapes()) {
    const std::string& value = shape.bytes;
    for (const std::string type : {"application/json", "application/cloudevents+json"}) {
      const std::string head =
          type == "application/json"
              ? R"({"fn":"f","user":"u","id":"i","in":)"
              : R"({"specversion":"1.0","type":"hearth.invoke.f","hearthuser":"u","id":"i","data":)";
      for (const auto& text : {head + value + "}", value}) {
        const Record record = RecordOf(type, text);
        Bounded(type + " request, " + shape.name, [&] { (void)DecodeRequest(record); });
      }
      Bounded(type + " fields, " + shape.name,
              [&] { (void)DecodeRequest(RecordOf(type, R"({"fn":)" + value + R"(,"user":"u"})")); });
    }
    Bounded("pools, " + shape.name, [&] { (void)DecodePools(value, ExecutorId("e")); });
    Bounded("why, " + shape.name, [&] { (void)ParseWhy(value); });
  }
}

// The values are those of the library's own parser.
TEST_F(Cost, WhatIsBuiltInOnePassIsWhatTheTextSays) {
  for (const auto& [name, bytes] : JsonShapes()) {
    const auto built = fields::ParseJsonValue(bytes);
    if (bytes.size() > 1000 && bytes.starts_with("[[[")) continue;  // the library's parser knows no bound
    const auto parsed = nlohmann::json::parse(bytes, nullptr, false);
    EXPECT_TRUE(built.value_or(nlohmann::json::value_t::discarded) == parsed || !built) << name;
    EXPECT_EQ(built.has_value(), !parsed.is_discarded()) << name;
  }
  EXPECT_EQ(fields::ParseJsonValue(R"({"a":[1,{"b":null,"b":true},[]],"c":{}})")->dump(),
            R"({"a":[1,{"b":true},[]],"c":{}})");
}

TEST_F(Cost, PayloadsAndOutputsOfAnyShapeInEveryForm) {
  auto shapes = JsonShapes();
  std::ranges::move(MsgpackShapes(), std::back_inserter(shapes));
  for (const auto& shape : shapes) {
    for (std::uint8_t form = 0; form < 5; ++form) {
      const auto name = shape.name + ", form " + std::to_string(form);
      Request request;
      request.form = static_cast<RequestForm>(form);
      request.id = InvocationId("i");
      request.user = UserId("u");
      request.function = FunctionName("f");
      request.payload = shape.bytes;
      OutRecord sent;
      Bounded("a request is written, " + name, [&] { sent = EncodeRequest(request, "t"); });
      Bounded("it is read, " + name, [&] { (void)DecodeRequest(RecordOf(sent)); });
      InvocationResult result;
      result.id = InvocationId("i");
      result.output = shape.bytes;
      result.log_tail = shape.bytes.substr(0, kMaxLogTailBytes);
      result.error_message = shape.bytes.substr(0, kMaxErrorMessageBytes);
      Bounded("a reply is written, " + name, [&] { sent = EncodeReply(result, static_cast<RequestForm>(form), "t"); });
      Bounded("it is read, " + name, [&] { (void)DecodeReply(RecordOf(sent)); });
    }
  }
}

TEST_F(Cost, RecordsAndFramesInMsgpackOfAnyShape) {
  for (const auto& shape : MsgpackShapes()) {
    const std::string& bytes = shape.bytes;
    const std::string in_a_request =
        "\x84\xa2"
        "fn\xa1"
        "f\xa4"
        "user\xa1"
        "u\xa5"
        "other" +
        bytes +
        "\xa2"
        "in" +
        bytes;
    for (const auto& value : {bytes, in_a_request.substr(0, kFullSize)}) {
      Bounded("request, " + shape.name, [&] { (void)DecodeRequest(RecordOf("application/msgpack", value)); });
      Bounded("reply, " + shape.name, [&] { (void)DecodeReply(RecordOf("application/msgpack", value)); });
      Bounded("function, " + shape.name, [&] { (void)DecodeFunctionRecord("u/f", value); });
      Bounded("usage, " + shape.name, [&] { (void)DecodeUsage(value); });
      Bounded("settings of a pool, " + shape.name, [&] { (void)DecodePoolSettings(value); });
      Bounded("key of a pool, " + shape.name, [&] { (void)ParsePoolKey("pool/" + value); });
    }
    for (std::size_t type = 1; type <= std::variant_size_v<link::Message>; ++type) {
      for (const auto& payload : {bytes, "\x91" + bytes, "\x92\x93\xa1t\x01\x01" + bytes}) {
        Bounded("link frame " + std::to_string(type) + ", " + shape.name,
                [&] { (void)link::DecodeLinkMessage({static_cast<std::uint8_t>(type), 0, payload}); });
      }
    }
    for (std::size_t type = 1; type <= std::variant_size_v<guest::Message>; ++type) {
      Bounded("guest frame " + std::to_string(type) + ", " + shape.name,
              [&] { (void)guest::DecodeGuestFrame({static_cast<std::uint8_t>(type), 1, bytes}); });
    }
  }
}

// A stream of the smallest frames, in the smallest pieces: the reader moves what is left over as seldom as it can.
TEST_F(Cost, StreamsOfSmallFramesAndSmallPieces) {
  const std::string stream = Repeat(std::string("\0\0\0\0\1\0\0\0\0", kFrameHeadBytes), kFullSize);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{100}, stream.size()}) {
    Bounded("pieces of " + std::to_string(piece), [&] {
      FrameReader reader;
      for (std::size_t at = 0; at < stream.size(); at += piece) {
        (void)reader.Feed(std::string_view(stream).substr(at, piece));
        while (reader.Next()) {}
      }
    });
  }
  std::string one;
  AppendFrame(one, 1, 0, std::string(kMaxFrameBytes, 'x'));
  Bounded("one frame, byte by byte", [&] {
    FrameReader reader;
    for (const char byte : one) {
      (void)reader.Feed(std::string_view(&byte, 1));
      (void)reader.Next();
    }
  });
}

}  // namespace
}  // namespace hearth
