// The folder code store hands out only what has the hash that was asked for.
#include "executor/code_store.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "common/base/sha256.h"

namespace hearth::executor {
namespace {

namespace fs = std::filesystem;

class CodeStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "hearth-code-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  Result<std::shared_ptr<const std::string>> Load(const std::string& hash, const std::string& user = "ada") {
    FolderCodeStore store(folder_.string(), [](std::function<void()> work) { work(); });
    std::promise<Result<std::shared_ptr<const std::string>>> answer;
    store.Load(UserId(user), CodeHash(hash), [&answer](auto loaded) { answer.set_value(std::move(loaded)); });
    return answer.get_future().get();
  }

  void Store(const std::string& path, const std::string& text) {
    fs::create_directories((folder_ / path).parent_path());
    std::ofstream(folder_ / path) << text;
  }

  fs::path folder_;
};

TEST_F(CodeStoreTest, LoadsWhatHasTheHash) {
  const std::string hash = Sha256Hex("archive");
  Store("u-ada/" + hash, "archive");
  const auto loaded = Load(hash);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(**loaded, "archive");
}

TEST_F(CodeStoreTest, RefusesWhatHasAnotherHash) {
  const std::string hash = Sha256Hex("archive");
  Store("u-ada/" + hash, "tampered");
  EXPECT_EQ(Load(hash).error().code, Code::kInvalid);
}

TEST_F(CodeStoreTest, WhoKnowsAHashHasNotTheCode) {
  const std::string hash = Sha256Hex("archive");
  Store("u-ada/" + hash, "archive");
  Store(hash, "archive");  // where a store of an earlier version had it
  EXPECT_EQ(Load(hash, "eve").error().code, Code::kNotFound);
  for (const std::string user : {"", "../u-ada", "u-ada/..", "ada/"}) {
    EXPECT_EQ(Load(hash, user).error().code, Code::kInvalid) << user;
  }
  for (const std::string user : {".", ".."}) EXPECT_EQ(Load(hash, user).error().code, Code::kNotFound) << user;
}

TEST_F(CodeStoreTest, AbsentCodeIsNotFound) {
  EXPECT_EQ(Load(Sha256Hex("x")).error().code, Code::kNotFound);
}

TEST_F(CodeStoreTest, NamesThatAreNoHashesAreRefused) {
  for (const std::string name : {"", "../secret", "ABCDEF", "/etc/passwd"}) {
    EXPECT_EQ(Load(name).error().code, Code::kInvalid) << name;
  }
}

}  // namespace
}  // namespace hearth::executor
