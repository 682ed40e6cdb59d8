// What the benches read of metrics and processes.
#include "tools/bench/processes.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

namespace hearth::bench {
namespace {

constexpr const char* kPage = R"(# HELP hearth_executor_pool Unassigned warm instances
# TYPE hearth_executor_pool gauge
hearth_executor_pool{kind="target",profile="a"} 3
hearth_executor_pool{kind="ready",profile="ab"} 7
hearth_executor_pool{kind="ready",profile="a"} 2
hearth_executor_pool_seconds{kind="ready",profile="a"} 9
plain 1.5
)";

TEST(FindMetric, TakesTheSampleWithAllLabels) {
  EXPECT_EQ(FindMetric(kPage, "hearth_executor_pool", {{"kind", "ready"}, {"profile", "a"}}), 2);
  EXPECT_EQ(FindMetric(kPage, "hearth_executor_pool", {{"profile", "a"}, {"kind", "target"}}), 3);
  EXPECT_EQ(FindMetric(kPage, "hearth_executor_pool", {{"profile", "ab"}}), 7);
  EXPECT_EQ(FindMetric(kPage, "plain", {}), 1.5);
}

TEST(FindMetric, SaysWhereThereIsNone) {
  EXPECT_FALSE(FindMetric(kPage, "hearth_executor_pool", {{"kind", "shells"}}));
  EXPECT_FALSE(FindMetric(kPage, "hearth_executor", {})) << "a family is a whole word";
  EXPECT_FALSE(FindMetric("", "plain", {}));
}

TEST(ReadUsage, KnowsThisProcess) {
  const auto usage = ReadUsage(getpid());
  ASSERT_TRUE(usage);
  EXPECT_GT(usage->rss_kib, 0);
  EXPECT_GT(usage->pss_kib, 0);
  EXPECT_LE(usage->pss_kib, usage->rss_kib);
  EXPECT_GE(usage->peak_rss_kib, usage->rss_kib / 2) << "of another moment, and counted less exactly";
  EXPECT_GT(usage->minor_faults, 0);
  EXPECT_FALSE(ReadUsage(0));
}

TEST(Child, ItsEndAndItsOutputAreSeen) {
  std::string folder = "/tmp/hearth-bench-test-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  {
    auto child = Child::Spawn({"sh", "-c", "echo told; exit 7"}, folder + "/log");
    ASSERT_TRUE(child);
    EXPECT_EQ(child->EndedWithin(std::chrono::seconds(60)), 7);
    EXPECT_EQ(ReadFile(child->log()), "told\n");
    auto endless = Child::Spawn({"sleep", "1000"}, folder + "/log");
    ASSERT_TRUE(endless);
    EXPECT_FALSE(endless->Ended());
    EXPECT_FALSE(endless->EndedWithin(std::chrono::milliseconds(1)));
    auto killed = Child::Spawn({"sleep", "1000"}, folder + "/log");
    ASSERT_TRUE(killed);
    killed->Kill();
    EXPECT_EQ(killed->Ended(), 128 + 9);
    killed->Kill();  // one that has ended
    EXPECT_EQ(child->Ended(), 7);
  }
  EXPECT_TRUE(FindProcesses(folder).empty());
  unlink((folder + "/log").c_str());
  rmdir(folder.c_str());
}

}  // namespace
}  // namespace hearth::bench
