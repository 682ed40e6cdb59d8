// Link and guest frames, functions and usage: round trips, and what a hostile or confused peer may send.
#include <gtest/gtest.h>

#include <msgpack.hpp>

#include "samples.h"
#include "schemas/limits.h"
#include "schemas/msgpack_shape.h"
#include "schemas/why.h"

namespace hearth {
namespace {

RawFrame Cut(const std::string& bytes) {
  FrameReader reader;
  EXPECT_TRUE(reader.Feed(bytes));
  return reader.Next().value();
}

TEST(Link, EveryMessageComesBackAsItWas) {
  for (const auto& message : samples::LinkMessages()) {
    std::string sent;
    EXPECT_TRUE(link::AppendLinkMessage(sent, message));
    auto decoded = link::DecodeLinkMessage(Cut(sent));
    ASSERT_TRUE(decoded) << decoded.error().message;
    std::string again;
    EXPECT_TRUE(link::AppendLinkMessage(again, *decoded));
    EXPECT_EQ(decoded->index(), message.index());
    EXPECT_EQ(again, sent) << message.index();
  }
}

TEST(Guest, EveryMessageComesBackAsItWas) {
  for (const auto& message : samples::GuestMessages()) {
    std::string sent;
    EXPECT_TRUE(guest::AppendGuestFrame(sent, {9, message}));
    auto decoded = guest::DecodeGuestFrame(Cut(sent));
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(decoded->stream, 9U);
    std::string again;
    EXPECT_TRUE(guest::AppendGuestFrame(again, *decoded));
    EXPECT_EQ(again, sent) << message.index();
  }
}

TEST(Link, EveryCutOfEveryMessageIsRefused) {
  for (const auto& message : samples::LinkMessages()) {
    std::string sent;
    EXPECT_TRUE(link::AppendLinkMessage(sent, message));
    const RawFrame whole = Cut(sent);
    for (std::size_t size = 0; size < whole.payload.size(); ++size) {
      EXPECT_FALSE(link::DecodeLinkMessage({whole.type, 0, whole.payload.substr(0, size)}))
          << message.index() << " " << size;
    }
  }
}

TEST(Link, UnknownTypesAndWrongShapesNameThemselves) {
  EXPECT_FALSE(link::DecodeLinkMessage({0, 0, "\x90"}));
  EXPECT_FALSE(link::DecodeLinkMessage({13, 0, "\x90"}));
  EXPECT_FALSE(guest::DecodeGuestFrame({19, 0, "\x80"}));
  const auto map = link::DecodeLinkMessage({1, 0, "\x80"});
  ASSERT_FALSE(map);
  EXPECT_EQ(map.error().code, Code::kInvalid);
  const auto short_array = link::DecodeLinkMessage({1, 0, "\x91\x01"});
  ASSERT_FALSE(short_array);
  EXPECT_NE(short_array.error().message.find("dispatcher"), std::string::npos);
  const auto wrong = link::DecodeLinkMessage({11, 0, std::string("\x92\xa1x\x01", 4)});
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("sequence"), std::string::npos);
}

TEST(Link, FurtherFieldsOfANewerPeerAreIgnored) {
  EXPECT_TRUE(link::DecodeLinkMessage({11, 0, std::string("\x94\x05\x06\x07\xc3", 5)}));
}

TEST(Guest, ChunkAboveItsLimitIsRefused) {
  EXPECT_TRUE(guest::DecodeGuestFrame({5, 0, std::string(kMaxCodeChunkBytes, 'x')}));
  const auto frame = guest::DecodeGuestFrame({5, 0, std::string(kMaxCodeChunkBytes + 1, 'x')});
  ASSERT_FALSE(frame);
  EXPECT_EQ(frame.error().code, Code::kExhausted);
}

TEST(Guest, OutputAndLogAboveTheirLimitsAreRefused) {
  for (const bool output : {true, false}) {
    guest::Ended ended;
    (output ? ended.output : ended.log_tail).assign((output ? kMaxOutputBytes : kMaxLogTailBytes) + 1, 'x');
    std::string sent;
    EXPECT_TRUE(guest::AppendGuestFrame(sent, {1, ended}));
    const auto decoded = guest::DecodeGuestFrame(Cut(sent));
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, Code::kExhausted) << decoded.error().message;
  }
}

TEST(Link, WhatIsLargerThanAFrameIsRefusedInEveryMessage) {
  link::FenceReport report;
  report.running.resize(100'000, {{}, InvocationId(std::string(100, 'i')), 0});
  link::Heartbeat beat;
  beat.profiles.resize(20'000, {std::string(100, 'p')});
  link::Done done;
  done.error_message.assign(kMaxFrameBytes, 'x');
  link::Exec exec;
  exec.payload.assign(kMaxFrameBytes, 'x');
  for (const link::Message& message : {link::Message(report), {beat}, {done}, {exec}}) {
    std::string out;
    const auto appended = link::AppendLinkMessage(out, message);
    ASSERT_FALSE(appended) << message.index();
    EXPECT_EQ(appended.error().code, Code::kExhausted);
    EXPECT_EQ(out, "");
  }
  guest::Create create;
  create.environment["X"].assign(kMaxFrameBytes, 'x');
  std::string out;
  EXPECT_FALSE(guest::AppendGuestFrame(out, {1, create}));
  EXPECT_EQ(out, "");
}

// The largest request that is admitted, with the largest function: each limit at once.
TEST(Link, AnExecOfWhatIsAdmittedFitsAFrame) {
  const std::string name(kMaxIdentifierBytes, 'n');
  link::Exec exec;
  exec.ref.partition.topic.assign(249, 't');
  exec.id = InvocationId(std::string(kMaxEventIdBytes, 'i'));
  exec.reply_to = exec.traceparent = name;
  exec.content_type.assign(kMaxContentTypeBytes, 'c');
  exec.payload.assign(kMaxPayloadBytes, 'p');
  exec.why.assign(kMaxWhyOfDispatcherBytes, 'w');
  exec.function_number = UINT32_MAX;
  Function function;
  function.user = UserId(name);
  function.name = FunctionName(name);
  function.handler = function.profile = name;
  function.code = CodeHash(std::string(64, 'a'));
  function.version = function.code_bytes = 1;
  function.runtime = Runtime::kNative;
  for (std::size_t i = 0; i < kMaxEnvironmentBytes / 4; ++i) {  // as many as there can be: each takes bytes of its own
    function.environment[std::string({static_cast<char>('0' + i / 4096), static_cast<char>('0' + i / 64 % 64),
                                      static_cast<char>('0' + i % 64)})] = "v";
  }
  for (const link::Message& message : {link::Message(exec), {link::FunctionDescription{UINT32_MAX, function}}}) {
    std::string out;
    const auto appended = link::AppendLinkMessage(out, message);
    EXPECT_TRUE(appended) << appended.error().message;
  }
}

TEST(Shape, DepthIsLimited) {
  const auto nest = [](std::size_t depth) { return std::string(depth, '\x91') + '\x01'; };
  EXPECT_TRUE(codec::CheckShape(nest(kMaxMsgpackDepth)));
  const auto bomb = codec::CheckShape(nest(kMaxMsgpackDepth + 1));
  ASSERT_FALSE(bomb);
  EXPECT_EQ(bomb.error().code, Code::kExhausted);
  EXPECT_FALSE(codec::CheckShape(nest(1'000'000)));
}

TEST(Shape, DeclaredSizesAreNotBelieved) {
  const std::string huge[] = {std::string("\xdd\xff\xff\xff\xff", 5),
                              std::string("\xdf\xff\xff\xff\xff", 5),
                              std::string("\xc6\xff\xff\xff\xff", 5),
                              std::string("\xdb\xff\xff\xff\xff", 5),
                              std::string("\xdc\xff\xff\x01", 4),
                              std::string("\xcf\x01", 2),
                              std::string("\x92\x93\x01\x02", 4),
                              std::string(),
                              std::string("\xda\x00", 2)};
  for (const auto& bytes : huge) EXPECT_FALSE(codec::CheckShape(bytes)) << testing::PrintToString(bytes);
}

TEST(Shape, ExtensionsAndLeftOversAreRefused) {
  EXPECT_FALSE(codec::CheckShape(std::string("\xd4\x01\x00", 3)));
  EXPECT_FALSE(codec::CheckShape("\xc1"));
  EXPECT_FALSE(codec::CheckShape("\x01\x02"));
}

TEST(Shape, AgreesWithWhatThePackerWrites) {
  msgpack::sbuffer buffer;
  msgpack::packer<msgpack::sbuffer> packer(buffer);
  packer.pack_map(7);
  packer.pack(1).pack(-1).pack(200).pack(-40000).pack(70000).pack(std::int64_t{-5'000'000'000});
  packer.pack(std::uint64_t{1} << 63).pack(1.5).pack(1.5F).pack(true).pack_nil().pack(std::string(300, 'x'));
  packer.pack(std::string(70'000, 'y')).pack(std::vector<int>(70'000, 1));
  EXPECT_TRUE(codec::CheckShape({buffer.data(), buffer.size()}));
}

TEST(Function, EveryFieldIsChecked) {
  const auto refused = [](auto change, std::string_view named) {
    Function function = samples::SampleFunction();
    change(function);
    const auto valid = ValidateFunction(function);
    ASSERT_FALSE(valid) << named;
    EXPECT_NE(valid.error().message.find(named), std::string::npos) << valid.error().message;
    EXPECT_FALSE(DecodeFunction(EncodeFunction(function))) << named;
  };
  EXPECT_TRUE(ValidateFunction(samples::SampleFunction()));
  refused([](Function& f) { f.user = UserId("a/b"); }, "user");
  refused([](Function& f) { f.name = FunctionName(std::string(129, 'x')); }, "name");
  refused([](Function& f) { f.version = 0; }, "version");
  refused([](Function& f) { f.code = CodeHash(std::string(64, 'A')); }, "code");
  refused([](Function& f) { f.code_bytes = static_cast<std::int64_t>(kMaxCodeBytes) + 1; }, "code_bytes");
  refused([](Function& f) { f.handler = "../x.y"; }, "handler");
  refused([](Function& f) { f.handler = "nodot"; }, "module.function");
  refused([](Function& f) { f.memory_mib = kMaxMemoryMib + 1; }, "memory_mib");
  refused([](Function& f) { f.memory_mib = kMinMemoryMib - 1; }, "memory_mib");
  refused([](Function& f) { f.timeout_ms = kMaxTimeoutMs + 1; }, "timeout_ms");
  refused([](Function& f) { f.max_attempts = 0; }, "max_attempts");
  refused([](Function& f) { f.max_age_ms = 0; }, "max_age_ms");
  refused([](Function& f) { f.concurrency = -1; }, "concurrency");
  refused([](Function& f) { f.container_idle_s = -1; }, "container_idle_s");
  refused([](Function& f) { f.container_idle_s = kMaxContainerIdleS + 1; }, "container_idle_s");
  refused([](Function& f) { f.profile = ""; }, "profile");
  refused([](Function& f) { f.environment["A=B"] = ""; }, "environment");
  refused([](Function& f) { f.environment["A"] = std::string(kMaxEnvironmentBytes, 'x'); }, "environment");
}

TEST(Function, ARecordIsBelievedOnlyUnderItsOwnKey) {
  const Function function = samples::SampleFunction();
  const std::string value = EncodeFunction(function);
  const auto own = DecodeFunctionRecord(FunctionKey(function.user, function.name), value);
  ASSERT_TRUE(own) << own.error().message;
  EXPECT_EQ(*own, function);
  EXPECT_FALSE(DecodeFunctionRecord(FunctionKey(UserId("another"), function.name), value));
  EXPECT_FALSE(DecodeFunctionRecord(FunctionKey(function.user, FunctionName("another")), value));
  EXPECT_FALSE(DecodeFunctionRecord("", value));
}

TEST(Function, RepeatedFieldsAndNewerVersionsAreRefused) {
  EXPECT_FALSE(DecodeFunction(std::string("\x82\xa1v\x01\xa1v\x01", 7)));
  const auto newer = DecodeFunction(std::string("\x81\xa1v\x02", 4));
  ASSERT_FALSE(newer);
  EXPECT_NE(newer.error().message.find("newer"), std::string::npos);
}

TEST(Usage, ComesBackAsItWas) {
  EXPECT_EQ(DecodeUsage(EncodeUsage(samples::SampleUsage())).value(), samples::SampleUsage());
  EXPECT_FALSE(DecodeUsage(""));
  EXPECT_FALSE(DecodeUsage("\x80"));
}

}  // namespace
}  // namespace hearth
