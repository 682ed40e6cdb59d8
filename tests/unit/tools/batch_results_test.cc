// Which results count, how a line of them looks, in which order they are written, and that a file is whole or not
// there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "tools/hearth/batch_lines.h"
#include "tools/hearth/batch_picks.h"
#include "tools/hearth/output_file.h"

namespace hearth::tool {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

BatchState StateOf(std::int64_t total, std::int32_t generation, BatchPhase phase = BatchPhase::kEnded) {
  BatchState state;
  state.phase = phase;
  state.total = total;
  state.generation = generation;
  if (generation > 0) state.selection = StatusSelection::Default();
  return state;
}

TEST(BatchPicks, TheFirstOfTheHighestGenerationThatTheStateKnowsCounts) {
  ResultPicks picks(StateOf(3, 1));
  picks.Add(0, 0, ItemStatus::kError, 10);
  picks.Add(0, 0, ItemStatus::kOk, 11);  // a second one of the same generation
  picks.Add(1, 0, ItemStatus::kOk, 12);
  picks.Add(0, 1, ItemStatus::kTimeout, 13);
  picks.Add(0, 1, ItemStatus::kOk, 14);
  picks.Add(1, 2, ItemStatus::kError, 15);  // a generation that the state does not know
  picks.Add(7, 0, ItemStatus::kOk, 16);     // none of its items
  picks.Add(-1, 0, ItemStatus::kOk, 17);
  picks.DropWhatRunsAgain();
  EXPECT_EQ(picks.OffsetOf(0), 13);
  EXPECT_EQ(picks.StatusOf(0), ItemStatus::kTimeout);
  EXPECT_EQ(picks.OffsetOf(1), 12);
  EXPECT_FALSE(picks.Has(2));
  EXPECT_EQ(picks.Counts()[ItemStatus::kOk], 1);
  EXPECT_EQ(picks.Counts().Total(), 2);
}

TEST(BatchPicks, WhatRunsAgainHasNoResultUntilItHasTheNewOne) {
  ResultPicks picks(StateOf(3, 1, BatchPhase::kRunning));
  picks.Add(0, 0, ItemStatus::kError, 1);
  picks.Add(1, 0, ItemStatus::kRejected, 2);  // not selected
  picks.Add(2, 0, ItemStatus::kError, 3);
  picks.Add(2, 1, ItemStatus::kError, 4);
  picks.DropWhatRunsAgain();
  EXPECT_FALSE(picks.Has(0));
  EXPECT_EQ(picks.OffsetOf(1), 2);
  EXPECT_EQ(picks.OffsetOf(2), 4);
}

TEST(BatchPicks, WhatLacksWasRemovedOrNeverHadAResult) {
  auto state = StateOf(10, 0);
  state.counts[ItemStatus::kOk] = 6;
  state.counts[ItemStatus::kCancelled] = 4;
  ItemCounts found;
  found[ItemStatus::kOk] = 6;
  EXPECT_EQ(WhatLacks(state, found).removed, 0);
  EXPECT_EQ(WhatLacks(state, found).status, ItemStatus::kCancelled);
  found[ItemStatus::kOk] = 4;
  EXPECT_EQ(WhatLacks(state, found).removed, 2);
  EXPECT_EQ(WhatLacks(state, found).status, std::nullopt) << "which of them is which is not known";
  found[ItemStatus::kCancelled] = 4;
  EXPECT_EQ(WhatLacks(state, found).status, ItemStatus::kOk);
  state.phase = BatchPhase::kRunning;
  state.counts[ItemStatus::kPending] = 3;
  EXPECT_EQ(WhatLacks(state, found).status, std::nullopt);
}

InvocationResult ResultOf(std::string output, std::string type = "application/json") {
  InvocationResult result;
  result.output = std::move(output);
  result.content_type = std::move(type);
  return result;
}

TEST(BatchLines, ALineIsOneJsonObjectWhateverCameOut) {
  const ResultMark mark{{{UserId("alice"), BatchId("b")}, 7}, "", 0};
  EXPECT_EQ(ResultLine(mark, ResultOf(R"({"a":1})")), "{\"i\":7,\"id\":null,\"status\":\"ok\",\"out\":{\"a\":1}}\n");
  EXPECT_EQ(ResultLine({mark.place, "x\"y", 0}, ResultOf("12345678901234567890.10")),
            "{\"i\":7,\"id\":\"x\\\"y\",\"status\":\"ok\",\"out\":12345678901234567890.10}\n");
  EXPECT_EQ(ResultLine(mark, ResultOf("[1,\n 2]")), "{\"i\":7,\"id\":null,\"status\":\"ok\",\"out\":[1,  2]}\n");
  EXPECT_EQ(ResultLine(mark, ResultOf("5", "text/plain")), "{\"i\":7,\"id\":null,\"status\":\"ok\",\"out\":\"5\"}\n");
  EXPECT_EQ(ResultLine(mark, ResultOf("a\nb", "")), "{\"i\":7,\"id\":null,\"status\":\"ok\",\"out\":\"a\\nb\"}\n");
  EXPECT_EQ(ResultLine(mark, ResultOf("\xff\x01")),
            "{\"i\":7,\"id\":null,\"status\":\"ok\",\"out_base64\":\"/wE=\"}\n");
  EXPECT_EQ(ResultLine(mark, ResultOf("")), "{\"i\":7,\"id\":null,\"status\":\"ok\",\"out\":\"\"}\n");
  auto failed = ResultOf("ignored");
  failed.status = Status::kError;
  failed.error_type = "ValueError";
  failed.error_message = "a \"b\"\n";
  EXPECT_EQ(ResultLine(mark, failed),
            "{\"i\":7,\"id\":null,\"status\":\"error\",\"error_type\":\"ValueError\",\"error_message\":\"a "
            "\\\"b\\\"\\n\"}\n");
  EXPECT_EQ(StatusLine(3, "photo 7", ItemStatus::kGone),
            R"({"i":3,"id":"photo 7","status":"gone","error_type":"NoResult",)"
            R"("error_message":"it did not lie where the batch says"})"
            "\n");
  EXPECT_THAT(StatusLine(3, "", ItemStatus::kCancelled), HasSubstr(R"("id":null,"status":"cancelled",)"));
  EXPECT_THAT(StatusLine(3, "", std::nullopt), HasSubstr(R"("status":null,"error_type":"NoResult")"));
}

TEST(OrderedLines, GivesThemByIndexWhateverTheWindow) {
  std::mt19937 random(2);
  for (const std::size_t window : {std::size_t{0}, std::size_t{1000}, std::size_t{1} << 20}) {
    constexpr std::int64_t kTotal = 500;
    std::vector<std::int64_t> coming;
    std::set<std::int64_t> comes;
    for (std::int64_t i = 0; i < kTotal; ++i) {
      if (random() % 4 != 0) coming.push_back(i);
    }
    comes.insert(coming.begin(), coming.end());
    std::ranges::shuffle(coming, random);
    std::string expected;
    for (std::int64_t i = 0; i < kTotal; ++i) {
      if (comes.contains(i)) expected += std::to_string(i) + std::string(static_cast<std::size_t>(i % 7), 'x') + "\n";
      if (!comes.contains(i) && i % 2 == 0) expected += "none " + std::to_string(i) + "\n";
    }
    std::string given;
    OrderedLines lines({kTotal, [&](std::int64_t i) { return comes.contains(i); },
                        [](std::int64_t i) { return i % 2 == 0 ? "none " + std::to_string(i) + "\n" : std::string(); },
                        [&](std::int64_t, std::string_view line) -> Result<void> {
                          given += line;
                          return {};
                        }},
                       window);
    for (const std::int64_t i : coming) {
      ASSERT_TRUE(lines.Put(i, std::to_string(i) + std::string(static_cast<std::size_t>(i % 7), 'x') + "\n"));
    }
    ASSERT_TRUE(lines.Finish());
    EXPECT_EQ(given, expected) << "window " << window;
  }
}

TEST(OrderedLines, OneThatDoesNotComeIsAnError) {
  OrderedLines lines({2, [](std::int64_t) { return true; }, [](std::int64_t) { return std::string(); },
                      [](std::int64_t, std::string_view) { return Result<void>(); }},
                     1000);
  ASSERT_TRUE(lines.Put(1, "b\n"));
  EXPECT_THAT(lines.Finish().error().message, HasSubstr("item 0"));
}

class OutputFileTest : public testing::Test {
 protected:
  OutputFileTest() {
    std::string path = (fs::temp_directory_path() / "hearth-output-XXXXXX").string();
    folder_ = mkdtemp(path.data());
    path_ = (folder_ / "out").string();
  }
  ~OutputFileTest() override { fs::remove_all(folder_); }
  [[nodiscard]] std::string Content() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  [[nodiscard]] std::ptrdiff_t Entries() const { return std::distance(fs::directory_iterator(folder_), {}); }
  fs::path folder_;
  std::string path_;
};

TEST_F(OutputFileTest, IsThereWholeOnceItIsCommitted) {
  std::ofstream(path_) << "old";
  auto file = OutputFile::Create(path_);
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->Write("new\n"));
  EXPECT_EQ(Content(), "old");
  ASSERT_TRUE(file->Finish());
  EXPECT_EQ(Content(), "old");
  ASSERT_TRUE(file->Commit());
  EXPECT_EQ(Content(), "new\n");
  EXPECT_EQ(Entries(), 1);
}

TEST_F(OutputFileTest, NothingStaysOfOneThatIsNotCommitted) {
  {
    auto file = OutputFile::Create(path_);
    ASSERT_TRUE(file && file->Write(std::string(3 << 20, 'x')));
    EXPECT_EQ(Entries(), 1);
  }
  EXPECT_EQ(Entries(), 0);
}

TEST_F(OutputFileTest, AFullDiskIsAnErrorAndLeavesNothing) {
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1 << 20, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  {
    auto file = OutputFile::Create(path_);
    ASSERT_TRUE(file);
    Result<void> written;
    for (int i = 0; i < 4 && written; ++i) written = file->Write(std::string(1 << 20, 'x'));
    if (written) written = file->Finish();
    ASSERT_FALSE(written);
    EXPECT_THAT(written.error().message, HasSubstr("cannot write " + path_ + ": File too large"));
  }
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, handler);
  EXPECT_EQ(Entries(), 0);
}

TEST_F(OutputFileTest, WhatIsNoFileIsWrittenIntoAndStays) {
  auto full = OutputFile::Create("/dev/full");
  ASSERT_TRUE(full && full->Write("x"));
  EXPECT_THAT(full->Finish().error().message, HasSubstr("No space left on device"));
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
  EXPECT_THAT(OutputFile::Create("/no/such/folder/out").error().message, HasSubstr("No such file or directory"));
}

}  // namespace
}  // namespace hearth::tool
