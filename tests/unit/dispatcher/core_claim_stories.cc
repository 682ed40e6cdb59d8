// Stories about users whose records several dispatchers hold, and what a claim on an idle container changes.
#include <map>

#include "tests/unit/dispatcher/core_stories.h"

namespace hearth::dispatcher {
namespace {

using Kind = Trace::Kind;

class Claims : public CoreStory {
 protected:
  static link::Slot Container(int number, std::int64_t since_ms, link::SlotState state = link::SlotState::kIdle) {
    link::Slot slot;
    slot.user = UserId("ada");
    slot.machine = MachineId("m1");
    slot.container = ContainerId("m1/" + std::to_string(number));
    slot.function = FunctionName("sum");
    slot.version = 1;
    slot.state = state;
    slot.memory_mib = 128;
    slot.since_ms = since_ms;
    return slot;
  }
  // One executor with idle containers of ada, and one record of hers seen.
  void Warm(std::vector<link::Slot> slots) {
    Connect("e1", 8, "first", std::move(slots));
    Own("std/0");
    Forget();
    Receive("std/0", 0);
    Done("e1", ExpectExec("e1", 0).ref);
    Forget();
  }
  void Report(std::vector<link::Slot> slots) {
    Step(ExecutorMessage{ExecutorId("e1"), link::SlotReport{std::move(slots)}});
  }
  void Share(bool shared = true) { Step(UserShared{UserId("ada"), shared}); }
  void Answer(const ClaimSlot& asked, bool granted) {
    Step(SlotClaimed{asked.user, asked.executor, asked.container, asked.since_ms, granted});
  }
  StartPath PlacedPath() const {
    for (const Trace& trace : All<Trace>()) {
      if (trace.kind == Kind::kPlaced) return trace.path;
    }
    return StartPath::kNone;
  }
};

TEST_F(Claims, ASingleOwnerNeverAsks) {
  Warm({Container(1, 10)});
  for (std::int64_t offset = 1; offset < 50; ++offset) {
    Receive("std/0", offset);
    Done("e1", Execs().back().second.ref);
  }
  EXPECT_TRUE(All<ClaimSlot>().empty());
  EXPECT_EQ(Execs().size(), 49U);
}

TEST_F(Claims, ASharedUsersContainerIsUsedOnceItIsGranted) {
  Warm({Container(1, 10), Container(2, 20)});
  Share();
  Receive("std/0", 1);
  ExpectNoExec();
  const auto asked = All<ClaimSlot>();
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].container, ContainerId("m1/2")) << "the one that was used last, as the executor leases it";
  EXPECT_EQ(asked[0].since_ms, 20);
  Forget();
  Answer(asked[0], true);
  EXPECT_EQ(PlacedPath(), StartPath::kContainer);
  EXPECT_EQ(Execs().size(), 1U);
}

TEST_F(Claims, WhatAnotherOneHoldsIsNotCountedOn) {
  Warm({Container(1, 10)});
  Share();
  Receive("std/0", 1);
  const auto asked = All<ClaimSlot>();
  ASSERT_EQ(asked.size(), 1U);
  Forget();
  Answer(asked[0], false);
  EXPECT_EQ(PlacedPath(), StartPath::kPool) << "the next path, and no further question";
  EXPECT_TRUE(All<ClaimSlot>().empty());

  Report({Container(1, 11, link::SlotState::kBusy)});
  Report({Container(1, 12)});  // the next idle period can be asked for
  Forget();
  Receive("std/0", 2);
  ASSERT_EQ(All<ClaimSlot>().size(), 1U);
  EXPECT_EQ(All<ClaimSlot>()[0].since_ms, 12);
}

TEST_F(Claims, OneClaimServesOneInvocation) {
  Warm({Container(1, 10)});
  Share();
  Receive("std/0", 1);
  Receive("std/0", 2);
  const auto asked = All<ClaimSlot>();
  ASSERT_EQ(asked.size(), 1U);
  Forget();
  Answer(asked[0], true);
  std::vector<StartPath> paths;
  for (const Trace& trace : All<Trace>()) {
    if (trace.kind == Kind::kPlaced) paths.push_back(trace.path);
  }
  EXPECT_EQ(paths, (std::vector<StartPath>{StartPath::kContainer, StartPath::kPool}));
}

TEST_F(Claims, ARedisThatSaysNothingIsNotWaitedForLong) {
  Warm({Container(1, 10)});
  Share();
  Receive("std/0", 1);
  ASSERT_EQ(All<ClaimSlot>().size(), 1U);
  Pass(40);
  ExpectNoExec();
  Pass(10);
  EXPECT_EQ(PlacedPath(), StartPath::kContainer) << "50 ms";
  const auto asked = All<ClaimSlot>();
  Forget();
  Answer(asked[0], false);  // too late to change anything
  ExpectNoExec();
}

TEST_F(Claims, AnAnswerAboutAnEarlierIdlePeriodSaysNothing) {
  Warm({Container(1, 10)});
  Share();
  Receive("std/0", 1);
  const auto asked = All<ClaimSlot>();
  ASSERT_EQ(asked.size(), 1U);
  Report({Container(1, 15)});
  Forget();
  Answer(asked[0], true);
  ExpectNoExec();
}

TEST_F(Claims, AUserThatIsSharedNoMoreIsAskedAboutNoMore) {
  Warm({Container(1, 10)});
  Share();
  Share(false);
  Receive("std/0", 1);
  EXPECT_TRUE(All<ClaimSlot>().empty());
  EXPECT_EQ(Execs().size(), 1U);
}

TEST_F(Claims, AClaimThatCameToNothingIsAskedForAgain) {
  Warm({Container(1, 10)});
  Share();
  Receive("std/0", 1);
  Answer(All<ClaimSlot>()[0], false);
  Done("e1", Execs().back().second.ref);
  PassAlive(10'100);
  Forget();
  Receive("std/0", 2);
  EXPECT_EQ(All<ClaimSlot>().size(), 1U);
}

}  // namespace
}  // namespace hearth::dispatcher
