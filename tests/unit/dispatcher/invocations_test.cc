// Invocations by themselves: what each stage holds, and that leaving it gives that back.
#include "dispatcher/core/invocations.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace hearth::dispatcher {
namespace {

const PartitionId kId{"hearth.invoke.std", 0};
const UserId kAda("ada");

class InvocationsTest : public testing::Test {
 protected:
  InvocationsTest() {
    Pass(1000);
    function_.user = kAda;
    function_.name = FunctionName("sum");
    function_.version = 2;
    function_.memory_mib = 128;
    link::ExecutorHello hello;
    hello.executor = ExecutorId("e1");
    hello.incarnation = "first";
    hello.credit = 100;
    hello.profiles = {{"default", 1, 1, 1}};
    executor_ = &executors_.Connect(hello);
  }
  void Pass(std::int64_t ms) { context_.Begin(Time{context_.After(ms), 1'000'000}, effects_); }

  Invocation& Receive(std::int64_t offset, const std::string& order_key = "", const std::string& payload = "1+1") {
    auto record = std::make_shared<Record>();
    record->partition = kId;
    record->offset = offset;
    record->value = "1+1";
    Request request;
    request.user = kAda;
    request.function = function_.name;
    request.order_key = order_key;
    request.payload = payload;
    EXPECT_EQ(invocations_.Receive(partition_, offset), Ledger::Reception::kNew);
    const auto footprint = Invocations::FootprintOf(partition_, *record, request);
    Invocation& invocation = invocations_.Add(partition_, footprint, record, std::move(request));
    invocations_.Order(invocation);
    return invocation;
  }
  Invocation* Complete(Invocation& invocation) {
    invocations_.Finish(invocation, {}, {});
    return invocations_.Complete(invocation);
  }
  std::int64_t Waiting() const { return turns_.Find(kAda) == nullptr ? 0 : turns_.Find(kAda)->waiting(); }
  std::vector<std::int64_t> Offered() {
    std::vector<std::int64_t> offsets;
    turns_.Offer([&](Ticket ticket) {
      offsets.push_back(invocations_.Get(ticket.serial).offset());
      return Turns::Offered::kNoPlace;
    });
    return offsets;
  }
  // All that stages hold, counted anew, is what the owners say.
  void ExpectWhole() const {
    std::int64_t waiting = 0, placed = 0, producing = 0, awaiting_function = 0, bytes = 0;
    for (const auto& [offset, one] : partition_.records().held()) {
      waiting += Waits(one.stage()) ? 1 : 0;
      placed += one.stage() == Stage::kPlaced ? 1 : 0;
      producing += Produces(one.stage()) ? 1 : 0;
      awaiting_function += one.stage() == Stage::kNoFunction ? 1 : 0;
      bytes += one.bytes();
      EXPECT_TRUE(!one.in_queue() || one.stage() == Stage::kQueued);
    }
    const auto& ledger = partition_.records().ledger();
    EXPECT_EQ(ledger.received(), ledger.complete() + static_cast<std::int64_t>(partition_.records().held().size()));
    EXPECT_EQ(Waiting(), waiting);
    EXPECT_EQ(invocations_.placed(), placed);
    EXPECT_EQ(executor_->placed(), placed);
    EXPECT_EQ(turns_.Find(kAda) == nullptr ? 0 : turns_.Find(kAda)->placed(), placed);
    EXPECT_EQ(invocations_.producing(), producing);
    EXPECT_EQ(invocations_.awaiting_function(), awaiting_function);
    EXPECT_EQ(partition_.records().backlog().bytes(), bytes);
  }

  std::vector<Effect> effects_;
  Context context_{Settings{}};
  Warm warm_;
  Claims claims_{context_, warm_};
  Executors executors_{context_, warm_, claims_};
  Turns turns_{context_, executors_.places()};
  ReadingBack reading_;
  Invocations invocations_{context_, turns_, executors_, reading_};
  Partition partition_{kId, RequestClass::kStandard, Ledger(0, {})};
  Function function_;
  Turns::Need need_{executors_.places().KindOf("default", Runtime::kPython3), 128, 0};
  Executor* executor_ = nullptr;
};

TEST_F(InvocationsTest, FromARecordToItsEnd) {
  Invocation& invocation = Receive(0);
  EXPECT_EQ(invocation.stage(), Stage::kArrived);
  EXPECT_EQ(Waiting(), 1);
  invocations_.Queue(invocation, 0, need_);
  EXPECT_TRUE(invocation.in_queue());
  EXPECT_FALSE(turns_.empty());
  invocations_.Start(invocation, *executor_, function_);
  EXPECT_EQ(invocation.stage(), Stage::kPlaced);
  EXPECT_TRUE(invocation.IsPlaced(executor_->id(), 1));
  EXPECT_FALSE(invocation.in_queue());
  EXPECT_TRUE(turns_.empty());
  ExpectWhole();
  EXPECT_EQ(executor_->placed(), 1);
  effects_.clear();
  invocations_.Finish(invocation, {Status::kOk, "published"}, {Output{}, Output{}});
  EXPECT_EQ(executor_->placed(), 0);
  for (int i = 0; i < 2; ++i) {
    invocations_.Produce(invocation);
    const std::uint64_t token = std::get<Produce>(effects_.back()).token;
    EXPECT_EQ(invocations_.TakeProduced(token), &invocation);
    EXPECT_EQ(invocations_.TakeProduced(token), nullptr) << "a token is good for once";
    invocation.outputs().Delivered();
  }
  ExpectWhole();
  EXPECT_EQ(invocations_.Complete(invocation), nullptr);
  EXPECT_EQ(partition_.records().Find(0), nullptr);
  EXPECT_EQ(partition_.records().ledger().complete(), 1);
  ExpectWhole();
}

TEST_F(InvocationsTest, IllegalMovesAreFaultsOfOurs) {
  Invocation& invocation = Receive(0);
  EXPECT_DEATH(invocations_.BackOffProducing(invocation), "cannot move so");
  EXPECT_DEATH(invocations_.Complete(invocation), "complete before");
  invocations_.Start(invocation, *executor_, function_);
  EXPECT_DEATH(invocations_.Start(invocation, *executor_, function_), "cannot move so");
  EXPECT_DEATH(invocations_.AwaitFunction(invocation, 0), "cannot move so");
  EXPECT_DEATH(invocations_.SeeEnd(invocation, ExecutorId("e2"), 1), "has another end");
  invocations_.Finish(invocation, {}, {Output{}});
  EXPECT_DEATH(invocations_.Queue(invocation, 0, need_), "cannot move so");
  invocations_.Produce(invocation);
  EXPECT_DEATH(invocations_.Complete(invocation), "complete before");
}

TEST_F(InvocationsTest, ARecordIsAddedOnce) {
  Receive(0);
  EXPECT_EQ(invocations_.Receive(partition_, 0), Ledger::Reception::kRepeated);
  auto record = std::make_shared<Record>();
  record->offset = 5;
  const auto footprint = Invocations::FootprintOf(partition_, *record, {});
  EXPECT_DEATH(invocations_.Add(partition_, footprint, record, {}), "I6") << "it was not received";
}

TEST_F(InvocationsTest, OfOneKeyTheOldestGoesFirstAndTheNextIsNamedWhenItEnds) {
  Invocation& first = Receive(0, "k");
  Invocation& second = Receive(1, "k");
  Invocation& third = Receive(2, "k");
  Invocation& other = Receive(3, "l");
  const PartitionRecords& records = partition_.records();
  EXPECT_TRUE(records.IsHead(first));
  EXPECT_FALSE(records.IsHead(second));
  EXPECT_TRUE(records.IsHead(other));
  invocations_.AwaitKey(second, 0);
  EXPECT_EQ(second.held_by(), "order_key");
  EXPECT_EQ(Complete(third), nullptr) << "it was not the head";
  EXPECT_EQ(Complete(first), &second);
  EXPECT_TRUE(records.IsHead(second));
  EXPECT_EQ(Complete(second), nullptr);
}

TEST_F(InvocationsTest, AStageHasOneTimerAndTakesItAlong) {
  Invocation& invocation = Receive(0);
  invocations_.BackOff(invocation, context_.After(100));
  invocations_.SetTimer(invocation, context_.After(50));
  Pass(50);
  EXPECT_EQ(invocations_.TakeDue(), &invocation);
  Pass(100);
  EXPECT_EQ(invocations_.TakeDue(), nullptr) << "the timer that was replaced";
  invocations_.BackOff(invocation, context_.After(100));
  invocations_.Queue(invocation, 0, need_);
  Pass(100);
  EXPECT_EQ(invocations_.TakeDue(), nullptr) << "the timer of the stage before";
}

TEST_F(InvocationsTest, WhoseTurnItIsMayLeaveTheQueueWhileItIsOffered) {
  Invocation& first = Receive(0);
  Invocation& second = Receive(1);
  invocations_.Queue(first, 0, need_);
  invocations_.Queue(second, 0, need_);
  int offers = 0;
  turns_.Offer([&](Ticket ticket) {
    if (++offers > 1) return Turns::Offered::kNoPlace;
    invocations_.Start(invocations_.Get(ticket.serial), *executor_, function_);
    return Turns::Offered::kPlaced;
  });
  EXPECT_EQ(first.stage(), Stage::kPlaced);
  EXPECT_FALSE(first.in_queue());
  EXPECT_EQ(Offered(), std::vector<std::int64_t>{1});
  ExpectWhole();
}

TEST_F(InvocationsTest, APartitionThatIsClaimedAnewLeavesTheQueueAndNothingElse) {
  Invocation& invocation = Receive(0);
  invocations_.Queue(invocation, context_.After(10), need_);
  invocations_.LeaveQueue(partition_);
  EXPECT_EQ(invocation.stage(), Stage::kQueued);
  EXPECT_FALSE(invocation.in_queue());
  EXPECT_TRUE(turns_.empty());
  Pass(10);
  EXPECT_EQ(invocations_.TakeDue(), &invocation) << "it expires all the same";
  ExpectWhole();
}

TEST_F(InvocationsTest, WhatIsForgottenIsHeldByNobody) {
  invocations_.Queue(Receive(0), context_.After(10), need_);
  invocations_.Start(Receive(1), *executor_, function_);
  invocations_.AwaitFunction(Receive(2), context_.After(10));
  Invocation& producing = Receive(3, "k");
  invocations_.Finish(producing, {}, {Output{}});
  invocations_.Produce(producing);
  const std::uint64_t token = std::get<Produce>(effects_.back()).token;
  invocations_.Forget(partition_);
  EXPECT_TRUE(partition_.records().held().empty());
  EXPECT_EQ(invocations_.TakeProduced(token), nullptr);
  Pass(1000);
  EXPECT_EQ(invocations_.TakeDue(), nullptr);
  EXPECT_TRUE(turns_.empty());
  ExpectWhole();
}

TEST_F(InvocationsTest, AnAdoptedAttemptCountsWhatMustHaveFailedBefore) {
  Invocation& invocation = Receive(0);
  function_.max_attempts = 3;
  invocations_.Adopt(invocation, *executor_, 3, &function_);
  EXPECT_EQ(invocation.tries().attempt(), 3);
  EXPECT_EQ(invocation.tries().failed(), 2);
  invocations_.Recall(invocation);
  EXPECT_FALSE(invocation.in_queue());
  ExpectWhole();
}

TEST_F(InvocationsTest, AValueThatIsThePayloadIsKeptOnce) {
  Invocation& same = Receive(0);
  Invocation& other = Receive(1, "", "in a form");
  EXPECT_EQ(same.payload(), "1+1");
  EXPECT_TRUE(same.request().payload.empty());
  EXPECT_EQ(other.payload(), "in a form");
  EXPECT_EQ(other.bytes() - same.bytes(), 9);
}

// Whatever happens in whatever order, nothing is counted twice or lost.
TEST_F(InvocationsTest, CountsAreThoseOfTheStagesAtAnyTime) {
  std::mt19937 random(7);
  std::int64_t next = 0;
  for (int round = 0; round < 5000; ++round) {
    std::vector<Invocation*> all = partition_.records().Select([](const Invocation&) { return true; });
    if (all.size() < 8 || random() % 4 == 0) {
      Receive(next, next % 3 == 0 ? "k" : "");
      ++next;
      continue;
    }
    Invocation& one = *all[random() % all.size()];
    const auto may = [&](Stage to) { return CanMove(one.stage(), to); };
    switch (random() % 9) {
      case 0:
        if (may(Stage::kQueued)) invocations_.Queue(one, context_.After(5), need_);
        break;
      case 1:
        if (may(Stage::kKeyed)) invocations_.AwaitKey(one, 0);
        break;
      case 2:
        if (may(Stage::kNoFunction)) invocations_.AwaitFunction(one, context_.After(5));
        break;
      case 3:
        if (may(Stage::kBackoff)) invocations_.BackOff(one, context_.After(5));
        break;
      case 4:
        if (may(Stage::kPlaced)) invocations_.Start(one, *executor_, function_);
        break;
      case 5:
        if (one.stage() == Stage::kPlaced) invocations_.Recall(one);
        break;
      case 6:
        if (!Produces(one.stage())) invocations_.Finish(one, {}, {});
        invocations_.Complete(one);
        break;
      case 7: Pass(1); break;
      default:
        while (invocations_.TakeDue() != nullptr) {}
        break;
    }
    ExpectWhole();
    if (HasFailure()) return;
    if (round % 1000 == 999) {
      invocations_.Forget(partition_);
      next = 0;
      ExpectWhole();
    }
  }
}

TEST(Stages, EveryMoveIsLegalOrNot) {
  using enum Stage;
  const std::vector<Stage> all = {kArrived, kKeyed,     kNoFunction,     kQueued, kBackoff,
                                  kPlaced,  kProducing, kProduceBackoff, kGone};
  const std::set<Stage> waits = {kArrived, kKeyed, kNoFunction, kQueued, kBackoff};
  std::set<std::string_view> names;
  for (const Stage from : all) {
    names.insert(StageName(from));
    EXPECT_EQ(Waits(from), waits.contains(from));
    EXPECT_FALSE(CanMove(from, kArrived));
    EXPECT_FALSE(CanMove(kGone, from));
    EXPECT_EQ(CanMove(from, kGone), from != kGone);
    EXPECT_EQ(CanMove(from, kPlaced), waits.contains(from)) << "only what waits is placed";
    EXPECT_EQ(CanMove(from, kProduceBackoff), from == kProducing);
    EXPECT_EQ(CanMove(from, kNoFunction), waits.contains(from)) << "what was placed has been admitted";
    EXPECT_EQ(CanMove(from, kQueued), waits.contains(from) || from == kPlaced) << "what is decided stays decided";
  }
  EXPECT_EQ(names.size(), all.size());
}

}  // namespace
}  // namespace hearth::dispatcher
