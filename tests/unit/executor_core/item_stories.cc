// Attempts of items of batches: their replies say whose they are and lie where the batch lies, and the dispatcher is
// told where.
#include "core_stories.h"
#include "schemas/batch_item.h"

namespace hearth::executor {
namespace {

constexpr std::int32_t kPartition = 5;
constexpr std::int64_t kIndex = 41;

class ItemStory : public Story {
 protected:
  static link::Exec OfItem(link::Exec exec) {
    exec.ref.partition = {"ada/nightly", kPartition};
    exec.reply_to = "hearth.batch.results";
    exec.item = link::ItemOfBatch{kIndex, "photo 7", 2};
    return exec;
  }
  // Runs it until its reply is on its way.
  Publish RunItem() {
    Boot();
    Connect();
    Exec(OfItem(MakeExec(kIndex)));
    End(UntilRun());
    auto publish = Take<Publish>();
    EXPECT_TRUE(publish);
    return publish.value_or(Publish{});
  }
  static Result<ResultMark> MarkOf(const Publish& publish) {
    Record record;
    record.headers = publish.record->headers;
    return DecodeResultMark(record);
  }
};

TEST_F(ItemStory, AReplySaysWhoseItIsAndLiesWhereTheBatchLies) {
  const auto publish = RunItem();
  EXPECT_EQ(publish.record->topic, "hearth.batch.results");
  EXPECT_EQ(publish.record->partition, kPartition);
  const auto mark = MarkOf(publish);
  ASSERT_TRUE(mark) << mark.error().message;
  EXPECT_EQ(*mark, (ResultMark{{{UserId("ada"), BatchId("nightly")}, kIndex}, "photo 7", 2}));
}

TEST_F(ItemStory, AReplyGoesToTheTopicOfResultsAndNowhereElse) {
  Boot();
  Connect();
  link::Exec exec = OfItem(MakeExec(kIndex));
  exec.reply_to = "hearth.batches";
  Exec(exec);
  const auto done = TakeMessage<link::Done>();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->error_type, "reply_topic_not_allowed");
}

TEST_F(ItemStory, TheDispatcherIsToldWhereTheReplyLies) {
  const auto publish = RunItem();
  Step(PublishFinished{publish.token, true, "", false, false, 70'000});
  const auto done = TakeMessage<link::Done>();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->outcome, link::Outcome::kPublished);
  EXPECT_EQ(done->reply_offset, 70'000);
}

// A new owner counts on what is owed as on what it is told.
TEST_F(ItemStory, AnEndThatIsOwedStillSaysWhereTheReplyLies) {
  const auto publish = RunItem();
  Step(PublishFinished{publish.token, true, "", false, false, 70'000});
  Step(DispatcherMessage{kLink, link::Fence{{"ada/nightly", kPartition}, 2, 0, 0}});
  const auto report = TakeMessage<link::FenceReport>();
  ASSERT_TRUE(report);
  ASSERT_EQ(report->finished.size(), 1U);
  EXPECT_EQ(report->finished[0].reply_offset, 70'000);
}

TEST_F(ItemStory, AReplyThatItsTopicRefusesHasNoPlaceThere) {
  auto publish = RunItem();
  Step(PublishFinished{publish.token, false, "no such topic"});
  publish = Take<Publish>().value();
  EXPECT_EQ(publish.record->topic, "hearth.undeliverable");
  EXPECT_EQ(publish.record->partition, kByKey) << "that topic may have fewer";
  EXPECT_TRUE(MarkOf(publish)) << "it still says whose it is";
  Step(PublishFinished{publish.token, true, "", false, false, 12});
  const auto done = TakeMessage<link::Done>();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->reply_offset, link::kNoReplyOffset);
}

TEST_F(ItemStory, AReplyThatIsShortenedIsStillTheItems) {
  auto publish = RunItem();
  for (int refused = 0; refused < 2; ++refused) {
    Step(PublishFinished{publish.token, false, "too large", false, true});
    publish = Take<Publish>().value();
  }
  EXPECT_EQ(publish.record->topic, "hearth.batch.results");
  EXPECT_EQ(publish.record->partition, kPartition);
  EXPECT_TRUE(MarkOf(publish));
  Step(PublishFinished{publish.token, true, "", false, false, 12});
  EXPECT_EQ(TakeMessage<link::Done>()->reply_offset, 12);
}

TEST_F(ItemStory, WhatIsNoItemIsNotMarked) {
  Boot();
  Connect();
  Exec(MakeExec(0));
  End(UntilRun());
  const auto publish = Take<Publish>();
  ASSERT_TRUE(publish);
  EXPECT_EQ(MarkOf(*publish).error().code, Code::kNotFound);
  EXPECT_EQ(publish->record->partition, kByKey);
  Step(PublishFinished{publish->token, true, "", false, false, 12});
  EXPECT_EQ(TakeMessage<link::Done>()->reply_offset, link::kNoReplyOffset);
}

}  // namespace
}  // namespace hearth::executor
