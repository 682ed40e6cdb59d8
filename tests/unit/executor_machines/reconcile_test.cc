// Which domains an executor may destroy.
#include "executor/machines/reconcile.h"

#include <gtest/gtest.h>

namespace hearth::executor {
namespace {

MarkedDomain Domain(const std::string& executor, const std::string& incarnation, const std::string& machine) {
  return {"hearth-" + machine, {ExecutorId(executor), incarnation, MachineId(machine), UserId(), "default"}};
}

const ExecutorId kSelf("executor-1");

TEST(Reconcile, DestroysWhatAnEarlierLifeLeft) {
  const auto plan = Reconcile({Domain("executor-1", "old", "a")}, kSelf, "new", {}, {});
  EXPECT_EQ(plan, (ReconcilePlan{{"hearth-a"}, {}}));
}

TEST(Reconcile, DestroysAnEarlierLifesMachineEvenIfItsNumberIsUsedAgain) {
  const auto plan = Reconcile({Domain("executor-1", "old", "a")}, kSelf, "new", {"hearth-a"}, {});
  EXPECT_EQ(plan.destroy, std::vector<std::string>{"hearth-a"});
}

TEST(Reconcile, DestroysWhatNobodyKnows) {
  const auto plan = Reconcile({Domain("executor-1", "new", "a")}, kSelf, "new", {"hearth-b"}, {});
  EXPECT_EQ(plan, (ReconcilePlan{{"hearth-a"}, {}}));
}

TEST(Reconcile, LeavesAnotherExecutorsMachinesAlone) {
  const auto plan =
      Reconcile({Domain("executor-2", "old", "a"), Domain("executor-2", "new", "b")}, kSelf, "new", {}, {});
  EXPECT_EQ(plan, ReconcilePlan{});
}

TEST(Reconcile, KeepsWhatIsKnown) {
  const std::set<std::string> known = {"hearth-a", "hearth-starting"};
  const auto plan = Reconcile({Domain("executor-1", "new", "a")}, kSelf, "new", known, {"hearth-a"});
  EXPECT_EQ(plan, ReconcilePlan{});
}

// Its domain is still named and marked as the shell that it was.
TEST(Reconcile, KeepsAShellBeforeAndAfterItBecameSomebodysMachine) {
  const auto shell = Domain("executor-1", "new", "shell-1");
  EXPECT_EQ(Reconcile({shell}, kSelf, "new", {"hearth-shell-1"}, {"hearth-shell-1"}), ReconcilePlan{});
  auto taken = shell;
  taken.mark.machine = MachineId("a");
  EXPECT_EQ(Reconcile({taken}, kSelf, "new", {"hearth-shell-1"}, {"hearth-shell-1"}), ReconcilePlan{});
}

TEST(Reconcile, DestroysShellsOfAnEarlierLife) {
  const auto plan = Reconcile({Domain("executor-1", "old", "shell-1")}, kSelf, "new", {"hearth-shell-1"}, {});
  EXPECT_EQ(plan.destroy, std::vector<std::string>{"hearth-shell-1"});
}

TEST(Reconcile, ReportsARunningMachineThatIsGone) {
  const std::set<std::string> known = {"hearth-a", "hearth-starting"};
  const auto plan = Reconcile({}, kSelf, "new", known, {"hearth-a"});
  EXPECT_EQ(plan, (ReconcilePlan{{}, {"hearth-a"}}));
}

}  // namespace
}  // namespace hearth::executor
