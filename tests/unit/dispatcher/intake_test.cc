// The intake of a partition by itself: when reading pauses, and when it goes on.
#include "dispatcher/core/intake.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "dispatcher/core/invocations.h"

namespace hearth::dispatcher {
namespace {

const PartitionId kId{"hearth.invoke.std", 0};
const UserId kAda("ada");

class IntakeTest : public testing::Test {
 protected:
  IntakeTest() { context_.Begin(Time{1'000'000, 1'000'000}, effects_); }
  static Settings AtMost(std::int32_t waiting) {
    Settings settings;
    settings.user_queue_limit = waiting;
    return settings;
  }
  void Receive(std::int64_t offset, std::size_t bytes = 0) {
    auto record = std::make_shared<Record>();
    record->partition = kId;
    record->offset = offset;
    record->value = std::string(bytes, 'x');
    Request request;
    request.user = kAda;
    request.payload = record->value;
    ASSERT_EQ(invocations_.Receive(partition_, offset), Ledger::Reception::kNew);
    invocations_.Add(partition_, std::move(record), std::move(request));
    partition_.intake().NoteWaiting(kAda, turns_.Find(kAda)->waiting(), context_);
    Update();
  }
  void Complete(std::int64_t offset) {
    Invocation& invocation = *partition_.records().Find(offset);
    invocations_.Finish(invocation, {}, {});
    invocations_.Complete(invocation);
    Update();
  }
  void Update() { partition_.intake().Update(kId, partition_.records(), turns_, context_); }
  bool Paused() const { return partition_.intake().paused(); }

  std::vector<Effect> effects_;
  Context context_{AtMost(4)};
  Warm warm_;
  Claims claims_{context_, warm_};
  Executors executors_{context_, warm_, claims_};
  Turns turns_{context_, executors_.places()};
  Invocations invocations_{context_, turns_, executors_};
  Partition partition_{kId, RequestClass::kStandard, Ledger(0, {})};
};

TEST_F(IntakeTest, AUserWithTooMuchWaitingPausesUntilHalfOfItIsGone) {
  for (std::int64_t offset = 0; offset < 4; ++offset) Receive(offset);
  EXPECT_FALSE(Paused());
  Receive(4);
  EXPECT_TRUE(Paused());
  Complete(0);
  Complete(1);
  EXPECT_TRUE(Paused()) << "three of at most four wait";
  Complete(2);
  EXPECT_FALSE(Paused());
  ASSERT_EQ(effects_.size(), 2U);
  EXPECT_TRUE(std::holds_alternative<PauseIntake>(effects_[0]));
  EXPECT_TRUE(std::holds_alternative<ResumeIntake>(effects_[1]));
}

TEST_F(IntakeTest, SoDoesAPartitionWithTooManyBytes) {
  constexpr std::size_t kThird = (64U << 20) / 3 + 1;
  Receive(0, kThird);
  Receive(1, kThird);
  EXPECT_FALSE(Paused());
  Receive(2, kThird);
  EXPECT_TRUE(Paused());
  Complete(2);
  EXPECT_TRUE(Paused()) << "two thirds are more than a half";
  Complete(1);
  EXPECT_FALSE(Paused());
}

TEST_F(IntakeTest, ANewOwnershipSaysWhichAndWhoDrainsReadsNothing) {
  partition_.intake().Begin(kId, context_);
  EXPECT_TRUE(std::holds_alternative<ResumeIntake>(effects_.back()));
  partition_.intake().Stop(kId, context_);
  EXPECT_TRUE(std::holds_alternative<PauseIntake>(effects_.back()));
  context_.Drain();
  Update();
  EXPECT_TRUE(Paused());
  partition_.intake().Begin(kId, context_);
  EXPECT_TRUE(std::holds_alternative<PauseIntake>(effects_.back()));
}

}  // namespace
}  // namespace hearth::dispatcher
