// Shares of the processors: control groups in a folder that looks like some, and, where the host lets us, real ones and
// real nice values, judged by what busy processes get done beside each other.
#include "executor/machines/shares.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <numeric>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "executor/host_pressure.h"
#include "executor/machines/nice.h"

namespace hearth::executor {
namespace {

namespace fs = std::filesystem;

const ExecutorId kExecutor("ex");
const UserId kAda("ada");
const UserId kBob("bob");
constexpr auto kPatience = std::chrono::seconds(120);

// A process in a session of its own, as QEMU is, that keeps one processor busy with two threads.
class Busy {
 public:
  explicit Busy(int processor) : pid_(fork()) {
    if (pid_ != 0) return;
    setsid();
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    sched_setaffinity(0, sizeof one, &one);
    // A program of its own: what is forked from many threads cannot start one of its own under ThreadSanitizer.
    execl("/usr/bin/python3", "python3", "-c",
          "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\nwhile True: pass",
          nullptr);
    _exit(127);
  }
  ~Busy() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }
  // Processor time that it had, in nanoseconds.
  [[nodiscard]] std::int64_t used() const {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/schedstat");
    std::int64_t nanos = 0;
    file >> nanos;
    return nanos;
  }
  [[nodiscard]] std::set<int> NiceOfThreads() const {
    std::set<int> values;
    for (const auto& task : fs::directory_iterator("/proc/" + std::to_string(pid_) + "/task")) {
      values.insert(getpriority(PRIO_PROCESS, static_cast<id_t>(std::stoul(task.path().filename()))));
    }
    return values;
  }
  // It is the program, and both of its threads are there. Before it is, a forked child of this process may have a
  // second thread under ThreadSanitizer, which ends where the program begins.
  [[nodiscard]] bool HasTwoThreads() const {
    const std::string process = "/proc/" + std::to_string(pid_);
    std::string name;
    std::ifstream(process + "/comm") >> name;
    const fs::directory_iterator tasks(process + "/task");
    return name.starts_with("python3") && std::distance(begin(tasks), end(tasks)) == 2;
  }

 private:
  const pid_t pid_;
};

// These tests may have a nice value themselves.
std::set<int> Above(int by) {
  return {std::min(kMaxNice, getpriority(PRIO_PROCESS, 0) + by)};
}

int AnyProcessor() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  sched_getaffinity(0, sizeof allowed, &allowed);
  int processor = 0;
  while (!CPU_ISSET(processor, &allowed)) ++processor;
  return processor;
}

template <class Holds>
bool Await(const Holds& holds) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

// Ada has four machines and bob one, all busy on one processor: what bob's gets done for each part that all of ada's
// do.
class Contest {
 public:
  Contest() {
    for (int i = 0; i < 4; ++i) adas_.push_back(std::make_unique<Busy>(processor_));
    for (const auto& each : adas_) EXPECT_TRUE(Await([&] { return each->HasTwoThreads(); }));
    EXPECT_TRUE(Await([&] { return bobs_.HasTwoThreads(); }));
  }
  [[nodiscard]] const Busy& ada(std::size_t number) const { return *adas_[number]; }
  [[nodiscard]] const Busy& bob() const { return bobs_; }
  double Ratio() const {
    constexpr std::int64_t kEnoughNanos = 1'000'000'000;
    const auto of_ada = [this] {
      return std::accumulate(adas_.begin(), adas_.end(), std::int64_t{0},
                             [](std::int64_t sum, const auto& each) { return sum + each->used(); });
    };
    const auto ada_before = of_ada();
    const auto bob_before = bobs_.used();
    EXPECT_TRUE(Await([&] { return of_ada() - ada_before + bobs_.used() - bob_before > kEnoughNanos; }));
    return static_cast<double>(bobs_.used() - bob_before) / static_cast<double>(of_ada() - ada_before);
  }

 private:
  const int processor_ = AnyProcessor();
  std::vector<std::unique_ptr<Busy>> adas_;
  Busy bobs_{processor_};
};

// What is said of them, from whichever thread.
class Words {
 public:
  Shares::Told Taker() {
    return [this](const std::string& what) {
      const std::scoped_lock lock(mutex_);
      last_ = what;
    };
  }
  std::string Last() {
    const std::scoped_lock lock(mutex_);
    return last_;
  }

 private:
  std::mutex mutex_;
  std::string last_;
};

// ---- nice values
// -----------------------------------------------------------------------------------------------------
TEST(Nice, AllMachinesOfAUserWeighNoMoreThanTwoOfTheFirst) {
  EXPECT_EQ(NiceOf(0), 0);
  EXPECT_EQ(NiceOf(1), 3);
  EXPECT_EQ(NiceOf(6), 18);
  EXPECT_EQ(NiceOf(7), 19);
  EXPECT_EQ(NiceOf(INT32_MAX), 19);
  double weight = 0;
  double one = 1;
  for (int rank = 0; rank < 7; ++rank, one *= 0.512) weight += one;  // each nice value takes a fifth
  EXPECT_LT(weight, 2.05);
}

TEST(Nice, EveryThreadOfTheProcessGetsIt) {
  const Busy busy(AnyProcessor());
  ASSERT_TRUE(Await([&] { return busy.HasTwoThreads(); }));
  ASSERT_TRUE(RaiseNice(busy.pid(), 6));
  EXPECT_EQ(busy.NiceOfThreads(), Above(6));
  ASSERT_TRUE(RaiseNice(busy.pid(), 3)) << "it is raised, and never lowered";
  EXPECT_EQ(busy.NiceOfThreads(), Above(6));
}

TEST(Nice, AProcessThatIsGoneIsNoFault) {
  const pid_t pid = fork();
  if (pid == 0) _exit(0);
  waitpid(pid, nullptr, 0);
  const auto raised = RaiseNice(pid, 3);
  ASSERT_FALSE(raised);
  EXPECT_EQ(raised.error().code, Code::kNotFound);
}

TEST(Nice, AUserWithManyBusyMachinesLeavesAnotherItsShare) {
  const Contest contest;
  Words words;
  {
    Shares shares(SharesChoice::kNice, kExecutor, {}, words.Taker());
    EXPECT_NE(words.Last().find("nice values"), std::string::npos);
    for (int rank = 0; rank < 4; ++rank) {
      shares.Assign(contest.ada(rank).pid(), kAda, MachineId("m" + std::to_string(rank)), rank, 512);
    }
    shares.Assign(contest.bob().pid(), kBob, MachineId("b"), 0, 512);
    ASSERT_TRUE(Await([&] { return contest.ada(3).NiceOfThreads() == Above(9); }));
  }
  EXPECT_EQ(contest.ada(0).NiceOfThreads(), Above(0));
  EXPECT_EQ(contest.ada(1).NiceOfThreads(), Above(3));
  EXPECT_EQ(contest.bob().NiceOfThreads(), Above(0));
  const double ratio = contest.Ratio();
  std::printf("nice values: one machine does %.2f of what four of another user do together\n", ratio);
  EXPECT_GT(ratio, 0.40) << "0.52 by the weights, 0.25 without";
  EXPECT_LT(ratio, 0.70);
}

// ---- control groups
// --------------------------------------------------------------------------------------------------
class GroupsTest : public testing::Test {
 protected:
  GroupsTest() {
    std::string pattern = "/tmp/hearth-groups-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    folder = pattern;
  }
  ~GroupsTest() override {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }
  void Write(const std::string& file, const std::string& text) const {
    fs::create_directories((folder / file).parent_path());
    std::ofstream(folder / file) << text;
  }
  std::string Read(const std::string& file) const { return ReadFileText(folder / file); }
  ControlGroups Unified(const std::string& path = "") const {
    const GroupFolder own{folder, path, true};
    return {{own}, {own}, ""};
  }
  fs::path folder;
  const std::string top = "hearth-ex-" + std::to_string(getpid());
};

TEST_F(GroupsTest, OfVersionTwo) {
  Write("cgroup.controllers", "cpuset cpu io memory");
  Write("cgroup.subtree_control", "cpu memory");
  auto groups = ShareGroups::Make(kExecutor, Unified(), getpid());
  ASSERT_TRUE(groups) << groups.error().message;
  EXPECT_TRUE(groups->bounds_memory());
  EXPECT_EQ(Read(top + "/cgroup.subtree_control"), "+cpu +memory");
  EXPECT_EQ(Read(top + "/pool/cpu.weight"), "25");
  ASSERT_TRUE(groups->TakeIn(42, MachineId("m0")));
  EXPECT_EQ(Read(top + "/pool/cgroup.procs"), "42");
  ASSERT_TRUE(groups->Assign(43, kAda, MachineId("m1"), 512));
  EXPECT_EQ(Read(top + "/u-ada/cpu.weight"), "100");
  EXPECT_EQ(Read(top + "/u-ada/m-m1/memory.max"), std::to_string(768LL << 20));
  EXPECT_EQ(Read(top + "/u-ada/m-m1/cgroup.procs"), "43");
  ASSERT_TRUE(groups->Assign(44, kAda, MachineId("m2"), 65'536));
  EXPECT_EQ(Read(top + "/u-ada/m-m2/memory.max"), std::to_string((65'536LL + 256) << 20));
  EXPECT_FALSE(fs::exists(folder / "hearth-self")) << "others' groups stood here already";
}

TEST_F(GroupsTest, OfVersionTwoThisProcessMakesRoomForThem) {
  Write("service/cgroup.controllers", "cpu");
  Write("service/cgroup.subtree_control", "");
  const auto groups = ShareGroups::Make(kExecutor, Unified("/service"), 77);
  ASSERT_TRUE(groups) << groups.error().message;
  EXPECT_EQ(Read("service/hearth-self/cgroup.procs"), "77");
  EXPECT_EQ(Read("service/cgroup.subtree_control"), "+cpu");
  EXPECT_FALSE(groups->bounds_memory());
}

TEST_F(GroupsTest, OfVersionOne) {
  fs::create_directories(folder / "cpu/service");
  fs::create_directories(folder / "memory");
  const ControlGroups own{{{folder / "memory", "", false}}, {{folder / "cpu", "/service", false}}, ""};
  auto groups = ShareGroups::Make(kExecutor, own, getpid());
  ASSERT_TRUE(groups) << groups.error().message;
  EXPECT_TRUE(groups->bounds_memory());
  EXPECT_EQ(Read("cpu/service/" + top + "/pool/cpu.shares"), "256");
  ASSERT_TRUE(groups->Assign(43, kAda, MachineId("m1"), 512));
  EXPECT_EQ(Read("cpu/service/" + top + "/u-ada/cpu.shares"), "1024");
  EXPECT_EQ(Read("cpu/service/" + top + "/u-ada/cgroup.procs"), "43");
  EXPECT_EQ(Read("memory/" + top + "/m-m1/memory.limit_in_bytes"), std::to_string(768LL << 20));
  EXPECT_EQ(Read("memory/" + top + "/m-m1/cgroup.procs"), "43");
}

TEST_F(GroupsTest, WhereTheyCannotBeWrittenTheReasonIsTold) {
  EXPECT_FALSE(ShareGroups::Make(kExecutor, {}, getpid()));
  auto groups = ShareGroups::Make(kExecutor, Unified("/absent"), getpid());
  ASSERT_FALSE(groups);
  EXPECT_NE(groups.error().message.find("does not name cpu"), std::string::npos) << groups.error().message;
  Words words;
  const Shares shares(SharesChoice::kAuto, kExecutor, {{}, {{"/proc", "", false}}, ""}, words.Taker());
  EXPECT_NE(words.Last().find("nice values"), std::string::npos) << words.Last();
  EXPECT_NE(words.Last().find("/proc/hearth-ex-"), std::string::npos) << words.Last();
}

TEST_F(GroupsTest, WhatAnEarlierLifeLeftIsRemovedAndNothingElse) {
  const pid_t gone = fork();
  if (gone == 0) _exit(0);
  waitpid(gone, nullptr, 0);
  const auto left = "hearth-ex-" + std::to_string(gone);
  for (const auto& name : {left + "/u-ada/m-1", std::string("hearth-ex-2-1/pool"), std::string("hearth-ex-1/pool")}) {
    fs::create_directories(folder / name);
  }
  const ControlGroups own{{}, {{folder, "", false}}, ""};
  ASSERT_TRUE(ShareGroups::Make(kExecutor, own, getpid()));
  EXPECT_FALSE(fs::exists(folder / left));
  EXPECT_TRUE(fs::exists(folder / "hearth-ex-2-1/pool")) << "another executor's";
  EXPECT_TRUE(fs::exists(folder / "hearth-ex-1/pool")) << "that process lives";
}

// In the control groups of this process itself, as the kernel has them. An ordinary user and most containers may not
// write those: there nice values are what shares, and GroupsTest has the groups in a folder that looks like them.
class RealGroups : public testing::Test {
 protected:
  void SetUp() override {
    const auto groups = ShareGroups::Make(kExecutor, own, getpid());
    if (!groups) GTEST_SKIP() << "control groups cannot be written here: " << groups.error().message;
  }
  const ControlGroups own = FindControlGroups(ReadFileText("/proc/self/cgroup"), ReadFileText("/proc/self/mountinfo"));
};

TEST_F(RealGroups, SixteenToOneIsHalfEach) {
  std::string folder;
  {
    auto groups = ShareGroups::Make(kExecutor, own, getpid());
    ASSERT_TRUE(groups) << groups.error().message;
    folder = groups->folder();
    const Contest contest;
    for (int i = 0; i < 4; ++i) {
      ASSERT_TRUE(groups->TakeIn(contest.ada(i).pid(), MachineId("m" + std::to_string(i))));
      const auto assigned = groups->Assign(contest.ada(i).pid(), kAda, MachineId("m" + std::to_string(i)), 512);
      ASSERT_TRUE(assigned) << assigned.error().message;
    }
    ASSERT_TRUE(groups->Assign(contest.bob().pid(), kBob, MachineId("b"), 512));
    const double ratio = contest.Ratio();
    std::printf("control groups: one machine does %.2f of what four of another user do together\n", ratio);
    EXPECT_GT(ratio, 0.8) << "1 by the weights, 0.25 without";
    EXPECT_LT(ratio, 1.25);
    EXPECT_TRUE(fs::exists(folder + "/u-ada"));
  }
  auto groups = ShareGroups::Make(kExecutor, own, getpid());
  ASSERT_TRUE(groups);
  {
    const Busy busy(AnyProcessor());
    ASSERT_TRUE(groups->Assign(busy.pid(), kBob, MachineId("b"), 512));
  }
  groups->Forget(MachineId("b"));
  EXPECT_FALSE(fs::exists(folder + "/u-bob")) << "with the user's last machine its group goes";
  groups = std::unexpected(Error{});
  EXPECT_FALSE(fs::exists(folder)) << "and at the end all of them";
}

// A libvirtd that was started anew does not do so itself.
TEST_F(RealGroups, WhatLibvirtMadeForAMachineGoesWithIt) {
  auto groups = ShareGroups::Make(kExecutor, own, getpid());
  ASSERT_TRUE(groups) << groups.error().message;
  const std::string libvirts = fs::path(groups->folder()).parent_path() / ("qemu-1-test-" + std::to_string(getpid()));
  fs::create_directory(libvirts);
  {
    const Busy busy(AnyProcessor());
    std::ofstream(libvirts + "/cgroup.procs") << busy.pid();
    ASSERT_TRUE(groups->TakeIn(busy.pid(), MachineId("m")));
    ASSERT_TRUE(groups->Assign(busy.pid(), kBob, MachineId("m"), 512));
    EXPECT_TRUE(fs::exists(libvirts));
  }
  groups->Forget(MachineId("m"));
  EXPECT_FALSE(fs::exists(libvirts));
}

}  // namespace
}  // namespace hearth::executor
