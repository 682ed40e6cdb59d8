// Ownership by itself: when a record of a partition may be placed, and when an end is acknowledged.
#include "dispatcher/core/ownership.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "dispatcher/core/invocations.h"
#include "dispatcher/core/ledger_map.h"

namespace hearth::dispatcher {
namespace {

const PartitionId kId{"hearth.invoke.std", 0};

class OwnershipTest : public testing::Test {
 protected:
  OwnershipTest() { Pass(1000); }
  void Pass(std::int64_t ms) { context_.Begin(Time{context_.After(ms), 1'000'000}, effects_); }
  static Settings MakeSettings() {
    Settings settings;
    settings.request_topics = {{kId.topic, RequestClass::kBatch}};
    return settings;
  }
  Executor& Connect(const std::string& id) {
    link::ExecutorHello hello;
    hello.executor = ExecutorId(id);
    hello.incarnation = "first";
    hello.credit = 10;
    return executors_.Connect(hello);
  }
  Partition& Take(std::int64_t committed = 0, const std::string& metadata = "", std::int64_t log_end = INT64_MAX) {
    return ownership_.Take({kId, committed, metadata, log_end});
  }
  Partition* Answer(const Partition& partition, bool ok = true) {
    return ownership_.TakeCommit({kId, partition.epoch(), ok, ""});
  }
  // Ours and settled.
  Partition& Own() {
    Partition& partition = Take();
    EXPECT_EQ(Answer(partition), &partition);
    Pass(context_.settings().fence_settle_ms);
    EXPECT_TRUE(ownership_.Settle(partition));
    return partition;
  }
  Invocation& Receive(Partition& partition, std::int64_t offset, const std::string& order_key = "") {
    auto record = std::make_shared<Record>();
    record->partition = kId;
    record->offset = offset;
    record->timestamp_ms = 77;
    Request request;
    request.user = UserId("ada");
    request.function = FunctionName("sum");
    request.order_key = order_key;
    EXPECT_EQ(invocations_.Receive(partition, offset), Ledger::Reception::kNew);
    const auto footprint = Invocations::FootprintOf(partition, *record, request);
    return invocations_.Add(partition, footprint, record, std::move(request));
  }
  void Complete(Invocation& invocation) {
    invocations_.Finish(invocation, {}, {});
    invocations_.Complete(invocation);
  }
  link::AttemptRef Ref(const Partition& partition, std::int64_t offset) {
    return {kId, offset, partition.epoch(), 1, partition.generation()};
  }
  template <class T>
  std::vector<T> All() const {
    std::vector<T> all;
    for (const Effect& effect : effects_) {
      if (const auto* one = std::get_if<T>(&effect)) all.push_back(*one);
    }
    return all;
  }
  template <class T>
  std::vector<T> Sent() const {
    std::vector<T> sent;
    for (const auto& one : All<SendToExecutor>()) {
      if (const auto* message = std::get_if<T>(&one.message)) sent.push_back(*message);
    }
    return sent;
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
};

TEST_F(OwnershipTest, NothingIsPlacedBeforeTheClaimHasSucceeded) {
  Partition& partition = Take();
  EXPECT_EQ(partition.request_class(), RequestClass::kBatch);
  Invocation& invocation = Receive(partition, 0);
  EXPECT_FALSE(ownership_.MayPlace(invocation));
  EXPECT_EQ(Answer(partition, false), nullptr);
  EXPECT_FALSE(partition.owned());
  Pass(kClaimRetryMs - 1);
  ownership_.RetryClaim(partition);
  EXPECT_EQ(All<Commit>().size(), 1U);
  Pass(1);
  ownership_.RetryClaim(partition);
  EXPECT_EQ(All<Commit>().size(), 2U);
  EXPECT_EQ(Answer(partition), &partition);
  EXPECT_TRUE(partition.owned());
  EXPECT_FALSE(ownership_.MayPlace(invocation)) << "not settled";
  EXPECT_FALSE(ownership_.Settle(partition)) << "an executor may still connect";
  Pass(context_.settings().fence_settle_ms);
  EXPECT_TRUE(ownership_.Settle(partition));
  EXPECT_FALSE(ownership_.Settle(partition)) << "once";
  EXPECT_TRUE(ownership_.MayPlace(invocation));
}

TEST_F(OwnershipTest, TheEpochNeverFalls) {
  LedgerMap map;
  map.epoch = 7;
  map.generation = 3;
  Partition& first = Take(0, EncodeLedgerMap(map).text);
  EXPECT_EQ(first.epoch(), 8);
  EXPECT_EQ(first.generation(), 3);
  EXPECT_EQ(ownership_.TakeCommit({kId, 7, true, ""}), nullptr) << "the answer to another epoch's commit";
  Answer(first);
  ownership_.Reclaim(first, 5);
  EXPECT_EQ(first.epoch(), 9);
  EXPECT_FALSE(first.owned());
  ownership_.Reclaim(first, 20);
  EXPECT_EQ(first.epoch(), 20);
  ownership_.Forget(first);
  EXPECT_EQ(ownership_.Find(kId), nullptr);
  EXPECT_EQ(Take().epoch(), 21) << "although nothing is committed any more";
  EXPECT_DEATH(Take(), "that is ours");
}

TEST_F(OwnershipTest, APartitionWithRecordsIsNotForgotten) {
  Partition& partition = Take();
  Receive(partition, 0);
  EXPECT_DEATH(ownership_.Forget(partition), "records in it");
}

TEST_F(OwnershipTest, WhatAFormerOwnerMayHavePlacedWaitsForEveryReport) {
  Executor& near = Connect("near");
  Executor& far = Connect("far");
  executors_.Disconnect(far);
  executors_.Expect({"host:1"});
  Partition& partition = Take(0, "", 1);
  Answer(partition);
  EXPECT_EQ(Sent<link::Fence>().size(), 1U);
  const Invocation& old = Receive(partition, 0);
  const Invocation& fresh = Receive(partition, 1);
  const Invocation& keyed = Receive(partition, 2, "k");
  EXPECT_FALSE(ownership_.MayPlace(old));
  EXPECT_TRUE(ownership_.MayPlace(fresh));
  EXPECT_FALSE(ownership_.MayPlace(keyed));
  auto once = std::make_shared<Function>();
  once->user = UserId("ada");
  once->name = FunctionName("sum");
  once->max_attempts = 1;
  registry_.Set(once);
  EXPECT_FALSE(ownership_.MayPlace(fresh)) << "it must not run twice";

  EXPECT_NE(ownership_.TakeReport(partition, near.id()).fence_order, 0U);
  EXPECT_FALSE(ownership_.Settle(partition));
  EXPECT_TRUE(ownership_.Unexpect(partition, "host:1"));
  EXPECT_FALSE(ownership_.Unexpect(partition, "host:1"));
  EXPECT_FALSE(ownership_.Settle(partition)) << "the one that is away may still run something";
  ownership_.ForgetExecutor(partition, far.id());
  EXPECT_TRUE(ownership_.Settle(partition));
  EXPECT_TRUE(ownership_.MayPlace(old));
  EXPECT_TRUE(ownership_.MayPlace(keyed));
}

TEST_F(OwnershipTest, NobodyIsWaitedForLongerThanALease) {
  Connect("mute");
  Partition& partition = Take();
  Answer(partition);
  Pass(link::kLeaseMs - 1);
  EXPECT_FALSE(ownership_.Settle(partition));
  Pass(1);
  EXPECT_TRUE(ownership_.Settle(partition));
}

TEST_F(OwnershipTest, AnEndIsAcknowledgedWhenTheCommitThatCoversItIsDurable) {
  Partition& partition = Own();
  Complete(Receive(partition, 0));
  ownership_.Cover(partition, ExecutorId("e1"), Ref(partition, 0));
  ownership_.MarkDirty(partition);
  Pass(context_.settings().commit_interval_ms);
  ownership_.CommitIfDue(partition);
  EXPECT_TRUE(Sent<link::DoneAck>().empty()) << "it is on its way";
  Answer(partition, false);
  EXPECT_TRUE(Sent<link::DoneAck>().empty());
  Pass(context_.settings().commit_interval_ms);
  ownership_.CommitIfDue(partition);
  Answer(partition);
  ASSERT_EQ(Sent<link::DoneAck>().size(), 1U);
  EXPECT_EQ(Sent<link::DoneAck>()[0].ref.offset, 0);
  const auto commits = All<Commit>().size();
  Pass(context_.settings().commit_interval_ms);
  ownership_.CommitIfDue(partition);
  EXPECT_EQ(All<Commit>().size(), commits) << "there is nothing to say";
}

TEST_F(OwnershipTest, OneCommitIsUnderWay) {
  Partition& partition = Own();
  Complete(Receive(partition, 0));
  ownership_.MarkDirty(partition);
  Pass(context_.settings().commit_interval_ms);
  ownership_.CommitIfDue(partition);
  const auto commits = All<Commit>().size();
  Complete(Receive(partition, 1));
  ownership_.MarkDirty(partition);
  Pass(context_.settings().commit_interval_ms);
  ownership_.CommitIfDue(partition);
  EXPECT_EQ(All<Commit>().size(), commits);
  Answer(partition);
  ownership_.CommitIfDue(partition);
  EXPECT_EQ(All<Commit>().size(), commits + 1);
  EXPECT_EQ(All<Commit>().back().offset, 2);
}

TEST_F(OwnershipTest, AnotherRecordWhereTheCommitLeftOffIsAnotherTopic) {
  Partition& first = Own();
  Receive(first, 4);
  ownership_.Commit(first, false);
  const std::string metadata = All<Commit>().back().metadata;
  invocations_.Forget(first);
  ownership_.Forget(first);
  Partition& second = Take(4, metadata);
  Record record;
  record.offset = 4;
  record.timestamp_ms = 77;
  EXPECT_FALSE(ownership_.WasMadeAnew(second, record));
  record.timestamp_ms = 78;
  EXPECT_TRUE(ownership_.WasMadeAnew(second, record));
  const std::int64_t before = second.generation();
  ownership_.BeginGeneration(second);
  EXPECT_NE(second.generation(), before);
  EXPECT_FALSE(ownership_.WasMadeAnew(second, record)) << "that was noticed";
}

TEST_F(OwnershipTest, AReportAnswersTheEarliestFence) {
  Partition& partition = Own();
  const Executor& executor = Connect("e1");
  ownership_.Fence(partition, executor);
  const std::uint64_t between = context_.NextOrder();
  ownership_.Fence(partition, executor);
  ownership_.NoteRunning(partition, executor.id(), Ref(partition, 3));
  const auto report = ownership_.TakeReport(partition, executor.id());
  EXPECT_LT(report.fence_order, between);
  EXPECT_TRUE(report.running.contains({3, 1}));
  EXPECT_EQ(ownership_.TakeReport(partition, executor.id()).fence_order, 0U);
  ownership_.Fence(partition, executor);
  ownership_.NoteRunning(partition, executor.id(), Ref(partition, 3));
  ownership_.ForgetFences(executor.id());
  const auto none = ownership_.TakeReport(partition, executor.id());
  EXPECT_EQ(none.fence_order, 0U);
  EXPECT_TRUE(none.running.empty()) << "half a report of an earlier connection is none";
}

TEST_F(OwnershipTest, WhoStoodStillForASessionDoubtsItself) {
  EXPECT_FALSE(ownership_.StoodStill());
  Pass(kSessionMs);
  EXPECT_FALSE(ownership_.StoodStill());
  Pass(kSessionMs + 1);
  EXPECT_TRUE(ownership_.StoodStill());
  EXPECT_FALSE(ownership_.StoodStill());
}

}  // namespace
}  // namespace hearth::dispatcher
