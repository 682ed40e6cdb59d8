// The libvirt adapter against libvirt's own test driver, and against a libvirt that is away.
#include "executor/machines/hypervisor.h"

#include <gtest/gtest.h>
#include <libvirt/libvirt.h>

#include <future>
#include <optional>

#include "tests/integration/executor/run_until.h"

namespace hearth::executor {
namespace {

constexpr std::int64_t kPatienceMs = 20'000;

// What the test driver can run, with hearth's mark.
std::string TestDomain(const std::string& name, const Mark& mark) {
  std::string marked = BuildMarkXml(mark);
  marked.insert(marked.find(' '), " xmlns='" + std::string(kMarkNamespace) + "'");
  return "<domain type='test'><name>" + name + "</name><metadata>" + marked +
         "</metadata><memory unit='MiB'>8</memory><os><type>hvm</type></os></domain>";
}

class HypervisorTest : public testing::Test {
 protected:
  std::unique_ptr<Hypervisor> Connect(const std::string& uri) {
    HypervisorOptions options;
    options.uri = uri;
    return std::make_unique<Hypervisor>(
        options, [this](std::function<void()> work) { loop_.Post(std::move(work)); },
        [this](Hypervisor::State state, const std::string& reason) {
          up_ = state == Hypervisor::State::kUp;
          hopeless_ = state == Hypervisor::State::kHopeless;
          reason_ = reason;
        });
  }
  Result<void> Await(const std::function<void(Hypervisor::Done)>& call) {
    std::optional<Result<void>> answer;
    call([&answer](Result<void> result) { answer = std::move(result); });
    EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [&] { return answer.has_value(); }));
    return answer.value_or(Fail(Code::kDeadline, "no answer"));
  }
  std::vector<MarkedDomain> List(Hypervisor& hypervisor) {
    std::optional<Result<std::vector<MarkedDomain>>> answer;
    hypervisor.List([&answer](auto listed) { answer = std::move(listed); });
    EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [&] { return answer.has_value(); }));
    return answer && *answer ? **answer : std::vector<MarkedDomain>{};
  }

  Loop loop_;
  bool up_ = false;
  bool hopeless_ = false;
  std::string reason_;
};

TEST_F(HypervisorTest, CreatesListsMarksAndDestroysAndTouchesNothingElse) {
  const auto hypervisor = Connect("test:///default");
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&] { return up_; })) << reason_;
  EXPECT_TRUE(List(*hypervisor).empty()) << "the test driver's own domain has no mark";

  Mark mark{ExecutorId("executor-1"), "life", MachineId("a"), UserId(), "default"};
  ASSERT_TRUE(Await([&](auto done) { hypervisor->Create(TestDomain("hearth-a", mark), done); }));
  auto domains = List(*hypervisor);
  ASSERT_EQ(domains.size(), 1U);
  EXPECT_EQ(domains[0].name, "hearth-a");
  EXPECT_EQ(domains[0].mark, mark);

  mark.user = UserId("alice");
  ASSERT_TRUE(Await([&](auto done) { hypervisor->SetMark("hearth-a", mark, done); }));
  domains = List(*hypervisor);
  ASSERT_EQ(domains.size(), 1U);
  EXPECT_EQ(domains[0].mark.user, UserId("alice"));

  ASSERT_TRUE(Await([&](auto done) { hypervisor->Destroy("hearth-a", done); }));
  EXPECT_TRUE(List(*hypervisor).empty());
}

TEST_F(HypervisorTest, DestroyingWhatIsNotThereIsDone) {
  const auto hypervisor = Connect("test:///default");
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&] { return up_; })) << reason_;
  EXPECT_TRUE(Await([&](auto done) { hypervisor->Destroy("hearth-never-was", done); }));
}

TEST_F(HypervisorTest, AMachineThatIsSlowToEndHoldsUpNoOther) {
  const auto hypervisor = Connect("test:///default");
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&] { return up_; })) << reason_;
  std::promise<void> ended;
  bool slow_done = false;
  hypervisor->Run(
      Lane::kDestroy,
      [wait = ended.get_future().share()](virConnectPtr) -> Result<void> {
        wait.wait();
        return {};
      },
      [&slow_done](Result<void>) { slow_done = true; });

  EXPECT_TRUE(Await([&](auto done) { hypervisor->Destroy("hearth-other", done); }));
  EXPECT_TRUE(List(*hypervisor).empty());
  EXPECT_FALSE(slow_done);
  ended.set_value();
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [&] { return slow_done; }));
}

TEST_F(HypervisorTest, WhoGoesDownStartsNothingThatWaitedAndStillDestroys) {
  const auto hypervisor = Connect("test:///default");
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&] { return up_; })) << reason_;
  const Mark mark{ExecutorId("executor-1"), "life", MachineId("a"), UserId(), "default"};
  ASSERT_TRUE(Await([&](auto done) { hypervisor->Create(TestDomain("hearth-a", mark), done); }));

  hypervisor->RefuseStarts();
  const auto refused = Await([&](auto done) { hypervisor->Create(TestDomain("hearth-b", mark), done); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  ASSERT_TRUE(Await([&](auto done) { hypervisor->Destroy("hearth-a", done); }));
  EXPECT_TRUE(List(*hypervisor).empty());
}

TEST_F(HypervisorTest, WhatLibvirtRefusesComesBackWithItsWords) {
  const auto hypervisor = Connect("test:///default");
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&] { return up_; })) << reason_;
  const auto result = Await([&](auto done) { hypervisor->Create("<domain type='test'><name/></domain>", done); });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kInternal);
  EXPECT_FALSE(result.error().message.empty());
}

TEST_F(HypervisorTest, ALibvirtThatIsAwayIsReportedAndCallsFailAtOnce) {
  const auto hypervisor = Connect("qemu+unix:///system?socket=/nonexistent/libvirt-sock");
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&] { return !reason_.empty(); }));
  EXPECT_FALSE(up_);
  const auto result = Await([&](auto done) { hypervisor->Create("<domain/>", done); });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kUnavailable);
}

// libvirt's driver cannot be started in a process twice: a second try would only say so.
TEST_F(HypervisorTest, AnEmbeddedLibvirtThatCannotStartIsGivenUp) {
  const auto hypervisor = Connect("qemu:///embed?root=/dev/null/libvirt");
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&] { return hopeless_; }));
  EXPECT_FALSE(up_);
  EXPECT_NE(reason_.find("/dev/null/libvirt"), std::string::npos) << reason_;
}

}  // namespace
}  // namespace hearth::executor
