// What an executor is asked, held against what it knows itself: the registry, the reply topics, the range of epochs.
#include "core_stories.h"
#include "executor/core/fencing.h"

namespace hearth::executor {
namespace {

std::shared_ptr<const Function> Registered(const link::Exec& exec) {
  return std::make_shared<const Function>(*exec.function);
}

TEST_F(Story, CodeThatTheRegistryDoesNotNameIsNotRun) {
  Boot();
  Connect();
  const link::Exec asked = MakeExec(0);
  Step(FunctionUpdated{Registered(asked)});
  Step(FunctionsCaughtUp{});
  const auto refused = [&](auto change) {
    link::Exec other = asked;
    Function changed = *asked.function;
    change(changed);
    other.function = std::make_shared<const Function>(std::move(changed));
    Exec(other);
    const auto nack = TakeMessage<link::Nack>();
    return nack && nack->reason == link::NackReason::kUnknownFunction && Count<LoadCode>() == 0;
  };
  EXPECT_TRUE(refused([](Function& f) { f.code = CodeHash(std::string(64, 'b')); }));
  EXPECT_TRUE(refused([](Function& f) { f.handler = "other.main"; }));
  EXPECT_TRUE(refused([](Function& f) { f.environment["LD_PRELOAD"] = "x"; }));
  EXPECT_TRUE(refused([](Function& f) { f.user = UserId("bob"); }));
  EXPECT_TRUE(refused([](Function& f) { f.name = FunctionName("g"); }));
  EXPECT_TRUE(refused([](Function& f) { f.version = 2; })) << "not read yet: it is asked again";
  Exec(asked);
  UntilRun();
}

TEST_F(Story, TheCodeOfOneUserIsNotAnothersByItsHash) {
  Boot();
  Connect();
  Exec(MakeExec(0, "ada"));
  const auto of_ada = Take<LoadCode>();
  ASSERT_TRUE(of_ada);
  EXPECT_EQ(of_ada->user, UserId("ada"));
  Boot();
  Exec(MakeExec(1, "eve"));  // names the same hash
  const auto of_eve = Take<LoadCode>();
  ASSERT_TRUE(of_eve) << "the one that is loaded is ada's";
  EXPECT_EQ(of_eve->user, UserId("eve"));
  Step(CodeLoaded{of_ada->user, of_ada->hash, std::make_shared<const std::string>("code"), ""});
  const auto create = TakeFrame<guest::Create>();
  ASSERT_TRUE(create);
  EXPECT_EQ(create->second.function, "ada/f");
  EXPECT_FALSE(TakeFrame<guest::Create>());
  Step(CodeLoaded{of_eve->user, of_eve->hash, nullptr, "the code store has none"});
  EXPECT_FALSE(TakeFrame<guest::Create>());
}

// One object stands for a function in all Execs of a link: what was found to be right is right until the registry
// changes.
TEST_F(Story, WhatMightRunIsJudgedAnewWhenTheRegistryChanges) {
  Boot();
  Connect();
  link::Exec asked = MakeExec(0);
  Step(FunctionUpdated{Registered(asked)});
  Exec(asked);
  EXPECT_FALSE(TakeMessage<link::Nack>());
  Function other = *asked.function;
  other.handler = "other.main";
  Step(FunctionUpdated{std::make_shared<const Function>(other)});
  asked.ref.offset = 1;
  Exec(asked);
  EXPECT_EQ(TakeMessage<link::Nack>()->reason, link::NackReason::kUnknownFunction);
  Step(FunctionUpdated{Registered(asked)});
  Exec(asked);
  EXPECT_FALSE(TakeMessage<link::Nack>());
  Step(FunctionRemoved{asked.function->user, asked.function->name});
  asked.ref.offset = 2;
  Exec(asked);
  EXPECT_EQ(TakeMessage<link::Nack>()->reason, link::NackReason::kUnknownFunction);
}

TEST_F(Story, AFunctionThatWasRemovedIsNotRun) {
  Connect();
  const link::Exec asked = MakeExec(0);
  Step(FunctionUpdated{Registered(asked)});
  Step(FunctionRemoved{asked.function->user, asked.function->name});
  Exec(asked);
  EXPECT_EQ(TakeMessage<link::Nack>()->reason, link::NackReason::kUnknownFunction);
}

TEST_F(Story, ARegistryThatIsNotReadYetHoldsNobodyUp) {
  Boot();
  Connect();
  Exec(MakeExec(0));
  UntilRun();
}

class Replies : public Story {
 protected:
  Replies() : Story(WithOwnTopics()) {}
  static Settings WithOwnTopics() {
    Settings settings = Defaults();
    settings.replies = {.default_topic = "hearth.reply", .allowed = {"*"}, .own = {"hearth.functions"}};
    return settings;
  }
};

TEST_F(Replies, NoReplyGoesToATopicOfHearthsOwn) {
  Boot();
  Connect();
  for (const char* topic : {"hearth.functions", ""}) {
    link::Exec exec = MakeExec(0);
    exec.reply_to = topic;
    Exec(exec);
    const auto done = TakeMessage<link::Done>();
    ASSERT_TRUE(done) << topic;
    EXPECT_EQ(done->outcome, link::Outcome::kInfrastructure);
    EXPECT_EQ(done->error_type, "reply_topic_not_allowed");
    EXPECT_EQ(Count<LoadCode>(), 0);
  }
  Exec(MakeExec(1));
  UntilRun();
}

TEST(Fencing, TheLargestEpochLocksNobodyOut) {
  const PartitionId partition{"t", 0};
  const DispatcherId owner("d1");
  const DispatcherId stranger("d2");
  Fencing fencing;
  EXPECT_EQ(fencing.Admit(partition, INT64_MAX, stranger, 1), Admission::kFenced);
  EXPECT_EQ(fencing.Admit(partition, 7, owner, 2), Admission::kRaised);
  EXPECT_EQ(fencing.Admit(partition, kMaxEpoch + 1, stranger, 1), Admission::kFenced);
  EXPECT_EQ(fencing.Admit(partition, kMaxEpoch, stranger, 1), Admission::kRaised);
  EXPECT_EQ(fencing.Admit(partition, kMaxEpoch + kMaxEpochStep + 1, stranger, 1), Admission::kFenced);
  EXPECT_EQ(fencing.Admit(partition, kMaxEpoch + 1, owner, 2), Admission::kRaised) << "there is always a next one";
}

}  // namespace
}  // namespace hearth::executor
