// Items of batches on the link: what an attempt of one carries, and what executors and dispatchers say that know of
// none.
#include <gtest/gtest.h>

#include <functional>

#include "samples.h"
#include "schemas/limits.h"

namespace hearth::link {
namespace {

RawFrame Cut(const Message& message) {
  std::string bytes;
  EXPECT_TRUE(AppendLinkMessage(bytes, message));
  FrameReader frames;
  EXPECT_TRUE(frames.Feed(bytes));
  return frames.Next().value();
}

// As a peer writes it that does not know the last field, which takes so many bytes.
template <class T>
T WithoutLastField(const T& message, std::size_t bytes) {
  RawFrame frame = Cut(message);
  frame.payload.resize(frame.payload.size() - bytes);
  --frame.payload.front();
  auto decoded = DecodeLinkMessage(std::move(frame));
  EXPECT_TRUE(decoded) << decoded.error().message;
  return std::get<T>(*decoded);
}

Result<Message> Carried(const std::function<void(Exec&)>& change) {
  Exec exec = samples::SampleExecOfItem();
  change(exec);
  return DecodeLinkMessage(Cut(exec));
}

void ExpectRefused(const std::function<void(Exec&)>& change, Code code, std::string_view text) {
  const auto decoded = Carried(change);
  ASSERT_FALSE(decoded) << text;
  EXPECT_EQ(decoded.error().code, code) << text;
  EXPECT_NE(decoded.error().message.find(text), std::string::npos) << decoded.error().message;
}

TEST(LinkItem, AnItemComesAsItWasSent) {
  const Exec sample = samples::SampleExecOfItem();
  const auto decoded = DecodeLinkMessage(Cut(sample));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(std::get<Exec>(*decoded).item, sample.item);
  EXPECT_EQ(std::get<Exec>(*decoded).ref, sample.ref);
}

TEST(LinkItem, WhatIsNoItemCarriesNone) {
  Exec exec;
  exec.payload = "p";
  EXPECT_EQ(std::get<Exec>(DecodeLinkMessage(Cut(exec)).value()).item, std::nullopt);
  const Exec older = WithoutLastField(exec, 1);
  EXPECT_EQ(older.item, std::nullopt);
  EXPECT_EQ(older.payload, "p");
}

TEST(LinkItem, WhereTheReplyLiesIsTold) {
  const Done sample = samples::SampleDoneWithOffset();
  EXPECT_EQ(std::get<Done>(DecodeLinkMessage(Cut(sample)).value()), sample);
}

TEST(LinkItem, AnExecutorThatDoesNotTellWhereTheReplyLiesIsUnderstood) {
  Done done;
  done.billed_ms = 7;
  const Done older = WithoutLastField(done, 1);
  EXPECT_EQ(older, done);
  EXPECT_EQ(older.reply_offset, kNoReplyOffset);
}

TEST(LinkItem, NumbersMayReachTheirLimits) {
  for (const std::int64_t index : {kOnCompleteIndex, std::int64_t{0}, kMaxBatchItems - 1}) {
    EXPECT_TRUE(Carried([&](Exec& exec) { exec.item->index = index; })) << index;
  }
  EXPECT_TRUE(Carried([](Exec& exec) { exec.item->generation = 0; }));
  EXPECT_TRUE(Carried([](Exec& exec) { exec.item->generation = kMaxBatchGeneration; }));
  EXPECT_TRUE(Carried([](Exec& exec) { exec.item->item_id.assign(kMaxItemIdBytes, 'i'); }));
}

TEST(LinkItem, AnItemThatNoBatchCanHaveIsRefused) {
  for (const std::int64_t index : {kOnCompleteIndex - 1, kMaxBatchItems}) {
    ExpectRefused([&](Exec& exec) { exec.item->index = index; }, Code::kInvalid, "item " + std::to_string(index));
  }
  for (const std::int32_t generation : {-1, kMaxBatchGeneration + 1}) {
    ExpectRefused([&](Exec& exec) { exec.item->generation = generation; }, Code::kInvalid,
                  "generation " + std::to_string(generation));
  }
  ExpectRefused([](Exec& exec) { exec.item->item_id.assign(kMaxItemIdBytes + 1, 'i'); }, Code::kExhausted, "id");
  ExpectRefused([](Exec& exec) { exec.ref.partition.topic = "hearth.invoke.batch"; }, Code::kInvalid, "batch");
}

}  // namespace
}  // namespace hearth::link
