// Two executors of a host and their accounts.
#include "executor/uid_block.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace hearth::executor {
namespace {

namespace fs = std::filesystem;

class UidBlockTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "hearth-uid-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    for (const char* name : {"a", "b", "proc"}) fs::create_directory(folder_ / name);
  }
  void TearDown() override { fs::remove_all(folder_); }
  Result<UidBlock> Claim(const char* state_dir, const char* executor = "executor-1") {
    return UidBlock::Claim(ExecutorId(executor), {folder_ / "locks", folder_ / "proc", folder_ / state_dir});
  }

  fs::path folder_;
};

TEST_F(UidBlockTest, TwoExecutorsOfOneNameHaveTwoBlocks) {
  const auto first = Claim("a");
  const auto second = Claim("b");
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->number(), second->number());
  EXPECT_NE(first->first_uid() / kAccountsOfExecutor, second->first_uid() / kAccountsOfExecutor);
}

TEST_F(UidBlockTest, AnExecutorComesBackToItsBlock) {
  std::uint32_t second = 0;
  {
    const auto one = Claim("a");
    const auto other = Claim("b");
    ASSERT_TRUE(one && other);
    second = other->number();
  }
  EXPECT_FALSE(fs::exists(folder_ / "locks")) << "nothing is left";
  EXPECT_EQ(Claim("b")->number(), second) << "machines of its earlier life may still have these accounts";
}

TEST_F(UidBlockTest, ABlockThatIsLockedByAnotherIsLeftEvenIfItIsRemembered) {
  const auto one = Claim("a");
  ASSERT_TRUE(one);
  std::ofstream(folder_ / "b/uid-block") << one->number();
  EXPECT_NE(Claim("b")->number(), one->number());
}

TEST_F(UidBlockTest, ABlockUnderWhichSomethingRunsIsSomebodys) {
  if (geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  const std::uint32_t free = Claim("a")->number();
  fs::remove(folder_ / "a/uid-block");
  fs::create_directory(folder_ / "proc/4711");
  ASSERT_EQ(chown((folder_ / "proc/4711").c_str(), kFirstUid + free * kAccountsOfExecutor + 7, 0), 0);
  EXPECT_NE(Claim("b")->number(), free);
}

TEST_F(UidBlockTest, ARememberedBlockUnderWhichAnothersMachinesRunIsLeft) {
  if (geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  const std::uint32_t block = Claim("a")->number();
  std::ofstream(folder_ / "b/uid-block") << block;
  ASSERT_EQ(Claim("b")->number(), block) << "nothing runs there: either may have it";
  // One that is killed leaves the lock's file and its machines.
  fs::create_directory(folder_ / "locks");
  fs::permissions(folder_ / "locks", fs::perms::owner_all);
  std::ofstream(folder_ / "locks" / std::to_string(block)) << (folder_ / "b").string();
  fs::create_directory(folder_ / "proc/4711");
  ASSERT_EQ(chown((folder_ / "proc/4711").c_str(), kFirstUid + block * kAccountsOfExecutor, 0), 0);
  EXPECT_NE(Claim("a")->number(), block);
  EXPECT_EQ(Claim("b")->number(), block) << "its own machines";
}

TEST_F(UidBlockTest, AFolderThatOthersWriteIntoIsRefused) {
  fs::create_directory(folder_ / "locks");
  fs::permissions(folder_ / "locks", fs::perms::all);
  const auto claimed = Claim("a");
  ASSERT_FALSE(claimed);
  EXPECT_EQ(claimed.error().code, Code::kUnavailable);
  EXPECT_TRUE(claimed.error().message.find("locks") != std::string::npos);
}

TEST_F(UidBlockTest, RubbishInTheMemoryIsNoBlock) {
  for (const char* text : {"", "x", "4096", "99999999999999999999", "-1"}) {
    std::ofstream(folder_ / "a/uid-block", std::ios::trunc) << text;
    EXPECT_TRUE(Claim("a")) << text;
  }
}

}  // namespace
}  // namespace hearth::executor
