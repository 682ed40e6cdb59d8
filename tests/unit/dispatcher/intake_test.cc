// The intake of a partition by itself: when reading pauses, and when it goes on.
#include "dispatcher/core/intake.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dispatcher/core/invocations.h"
#include "dispatcher/core/ownership.h"

namespace hearth::dispatcher {
namespace {

const PartitionId kId{"hearth.invoke.std", 0};

class IntakeTest : public testing::Test {
 protected:
  static constexpr std::int64_t kWide = 240;  // with more than 10 ranges

  IntakeTest() {
    Pass(1);
    partition_ = &ownership_.Take({kId, 0, ""});
    CommitEnds();
    effects_.clear();
  }
  static Settings MakeSettings() {
    Settings settings;
    settings.wide_offsets = kWide;
    settings.map_bytes = 72;  // of no more than 16 offsets
    return settings;
  }
  void Pass(std::int64_t ms) { context_.Begin(Time{context_.After(ms), 1'000'000}, effects_); }
  // Of so many offsets every second one is held, and the others are complete.
  void ReceiveTo(std::int64_t end) {
    for (; next_ < end; ++next_) {
      auto record = std::make_shared<Record>();
      record->partition = kId;
      record->offset = next_;
      ASSERT_EQ(invocations_.Receive(*partition_, next_), Ledger::Reception::kNew);
      invocations_.Add(*partition_, Invocations::FootprintOf(*partition_, *record, {}), record, {});
      if (next_ % 2 == 1) Complete(next_);
    }
  }
  void Complete(std::int64_t offset) {
    Invocation& invocation = *partition_->records().Find(offset);
    invocations_.Finish(invocation, {}, {});
    invocations_.Complete(invocation);
  }
  void CommitEnds() { (void)ownership_.TakeCommit({kId, partition_->epoch(), true, ""}); }
  // A commit leads to pages, which are written or not.
  void WritePages(bool ok) {
    Pass(kPageIntervalMs);
    ownership_.Commit(*partition_, false);
    CommitEnds();
    std::vector<Effect> effects = std::exchange(effects_, {});
    ownership_.WritePages();
    std::swap(effects, effects_);
    bool any = false;
    for (const Effect& effect : effects) {
      const auto* write = std::get_if<WritePage>(&effect);
      if (write == nullptr) continue;
      any = true;
      ownership_.TakePageWritten({write->key, ok});
    }
    ASSERT_TRUE(any);
  }
  void Update() { partition_->intake().Update(*partition_, context_); }
  bool Paused() const { return partition_->intake().paused(); }
  template <class T>
  std::size_t Count() const {
    std::size_t count = 0;
    for (const Effect& effect : effects_) count += std::holds_alternative<T>(effect) ? 1 : 0;
    return count;
  }

  std::vector<Effect> effects_;
  Context context_{MakeSettings()};
  Registry registry_;
  Warm warm_;
  Claims claims_{context_, warm_};
  Executors executors_{context_, warm_, claims_};
  Turns turns_{context_, executors_.places()};
  ReadingBack reading_;
  Invocations invocations_{context_, turns_, executors_, reading_};
  Ownership ownership_{context_, executors_, registry_};
  Partition* partition_ = nullptr;
  std::int64_t next_ = 0;
};

TEST_F(IntakeTest, WhatHasComeApartPausesWhilePagesFailUntilTheyAreWritten) {
  ReceiveTo(kWide + 2);
  Update();
  EXPECT_FALSE(Paused()) << "pages can tell of it";
  WritePages(false);
  Update();
  EXPECT_TRUE(Paused());
  Update();
  EXPECT_EQ(Count<PauseIntake>(), 1U);
  WritePages(true);
  Update();
  EXPECT_FALSE(Paused());
  EXPECT_EQ(Count<ResumeIntake>(), 1U);
}

TEST_F(IntakeTest, APausedPartitionGoesOnWhenHalfOfTheWidthIsGone) {
  ReceiveTo(kWide + 2);
  WritePages(false);
  Update();
  ASSERT_TRUE(Paused());
  for (std::int64_t offset = 0; offset < kWide / 2; offset += 2) Complete(offset);
  Update();
  EXPECT_TRUE(Paused()) << "more than half of it is left";
  Complete(kWide / 2);
  Complete(kWide / 2 + 2);
  Update();
  EXPECT_FALSE(Paused());
}

TEST_F(IntakeTest, WhatIsNarrowOrInOnePieceNeverPauses) {
  ReceiveTo(kWide);
  WritePages(false);
  Update();
  EXPECT_FALSE(Paused()) << "a map may have room for any pattern of so many offsets";
  for (std::int64_t offset = 2; offset < kWide - 10; offset += 2) Complete(offset);
  ReceiveTo(kWide + 2);
  Update();
  EXPECT_FALSE(Paused()) << "few ranges, however far apart";
}

TEST_F(IntakeTest, ANewOwnershipSaysWhichAndWhoDrainsReadsNothing) {
  partition_->intake().Begin(kId, context_);
  EXPECT_TRUE(std::holds_alternative<ResumeIntake>(effects_.back()));
  partition_->intake().Stop(kId, context_);
  EXPECT_TRUE(std::holds_alternative<PauseIntake>(effects_.back()));
  context_.Drain();
  Update();
  EXPECT_TRUE(Paused());
  partition_->intake().Begin(kId, context_);
  EXPECT_TRUE(std::holds_alternative<PauseIntake>(effects_.back()));
}

}  // namespace
}  // namespace hearth::dispatcher
