// Which domains an executor may destroy.
#include "executor/machines/reconcile.h"

#include <gtest/gtest.h>

namespace hearth::executor {
namespace {

MarkedDomain Domain(const std::string& executor, const std::string& incarnation, const std::string& instance) {
  return {"hearth-" + instance, {ExecutorId(executor), incarnation, InstanceId(instance), UserId(), "default"}};
}

const ExecutorId kSelf("executor-1");

TEST(Reconcile, DestroysWhatAnEarlierLifeLeft) {
  const auto plan = Reconcile({Domain("executor-1", "old", "a")}, kSelf, "new", {}, {});
  EXPECT_EQ(plan, (ReconcilePlan{{"hearth-a"}, {}}));
}

TEST(Reconcile, DestroysAnEarlierLifesMachineEvenIfItsNumberIsUsedAgain) {
  const auto plan = Reconcile({Domain("executor-1", "old", "a")}, kSelf, "new", {InstanceId("a")}, {});
  EXPECT_EQ(plan.destroy, std::vector<std::string>{"hearth-a"});
}

TEST(Reconcile, DestroysWhatNobodyKnows) {
  const auto plan = Reconcile({Domain("executor-1", "new", "a")}, kSelf, "new", {InstanceId("b")}, {});
  EXPECT_EQ(plan, (ReconcilePlan{{"hearth-a"}, {}}));
}

TEST(Reconcile, LeavesAnotherExecutorsMachinesAlone) {
  const auto plan =
      Reconcile({Domain("executor-2", "old", "a"), Domain("executor-2", "new", "b")}, kSelf, "new", {}, {});
  EXPECT_EQ(plan, ReconcilePlan{});
}

TEST(Reconcile, KeepsWhatIsKnown) {
  const std::set<InstanceId> known = {InstanceId("a"), InstanceId("starting")};
  const auto plan = Reconcile({Domain("executor-1", "new", "a")}, kSelf, "new", known, {InstanceId("a")});
  EXPECT_EQ(plan, ReconcilePlan{});
}

TEST(Reconcile, ReportsARunningMachineThatIsGone) {
  const std::set<InstanceId> known = {InstanceId("a"), InstanceId("starting")};
  const auto plan = Reconcile({}, kSelf, "new", known, {InstanceId("a")});
  EXPECT_EQ(plan, (ReconcilePlan{{}, {InstanceId("a")}}));
}

}  // namespace
}  // namespace hearth::executor
