// Ledger pages and their keys: what is written is read, one set has one text, and nothing else is taken for a page.
#include "dispatcher/core/ledger_page.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>
#include <vector>

namespace hearth::dispatcher {
namespace {

using Runs = std::vector<LedgerRange>;

Runs RunsOf(const std::vector<bool>& set) {
  Runs runs;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(set.size()); ++i) {
    if (!set[static_cast<std::size_t>(i)]) continue;
    if (!runs.empty() && runs.back().start + runs.back().length == i) {
      ++runs.back().length;
    } else {
      runs.push_back({i, 1});
    }
  }
  return runs;
}

void ExpectRoundTrip(const Runs& runs) {
  const std::string bytes = EncodeLedgerPage(runs);
  ASSERT_FALSE(bytes.empty());
  ASSERT_LE(bytes.size(), kMaxLedgerPageBytes);
  const auto decoded = DecodeLedgerPage(bytes);
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  ASSERT_EQ(*decoded, runs);
}

void ExpectBroken(const std::string& bytes, const std::string& why) {
  const auto decoded = DecodeLedgerPage(bytes);
  ASSERT_FALSE(decoded.has_value()) << why;
  EXPECT_EQ(decoded.error().code, Code::kInvalid);
  EXPECT_EQ(decoded.error().message, "ledger page: " + why);
}

std::string Bytes(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) text.push_back(static_cast<char>(byte));
  return text;
}

TEST(LedgerPage, AnySetOfOffsetsReadsTheSameAgain) {
  std::mt19937 random(7);
  for (const double share : {0.0001, 0.01, 0.1, 0.5, 0.9, 0.999}) {
    std::bernoulli_distribution complete(share);
    for (int round = 0; round < 20; ++round) {
      std::vector<bool> set(round % 2 == 0 ? static_cast<std::size_t>(kPageOffsets) : random() % kPageOffsets);
      for (auto&& offset : set) offset = complete(random);
      ExpectRoundTrip(RunsOf(set));
    }
  }
}

TEST(LedgerPage, TheEdgesOfAPageAreItsOwn) {
  ExpectRoundTrip({});
  ExpectRoundTrip({{0, 1}});
  ExpectRoundTrip({{0, kPageOffsets}});
  ExpectRoundTrip({{kPageOffsets - 1, 1}});
  ExpectRoundTrip({{0, 1}, {2, kPageOffsets - 2}});
}

TEST(LedgerPage, TheWorstSetIsBitsAndTheBestIsOneRun) {
  std::vector<bool> alternate(static_cast<std::size_t>(kPageOffsets));
  for (std::size_t i = 1; i < alternate.size(); i += 2) alternate[i] = true;
  EXPECT_EQ(EncodeLedgerPage(RunsOf(alternate)).size(), kMaxLedgerPageBytes);
  ExpectRoundTrip(RunsOf(alternate));
  EXPECT_EQ(EncodeLedgerPage({{0, kPageOffsets}}).size(), 7U);
  EXPECT_EQ(EncodeLedgerPage({}), Bytes({1, 0, 0}));
}

TEST(LedgerPage, OneSetHasOneText) {
  EXPECT_EQ(EncodeLedgerPage({{3, 2}}), Bytes({1, 1, 0b11000})) << "one byte of bits is shorter than a run";
  ExpectBroken(Bytes({1, 0, 1, 3, 2}), "not the shortest writing");
  EXPECT_EQ(EncodeLedgerPage({{20, 4}}), Bytes({1, 0, 1, 20, 4})) << "as long as three bytes of bits: runs";
  ExpectBroken(Bytes({1, 1, 0, 0, 0xf0}), "not the shortest writing");
  ExpectBroken(Bytes({1, 1, 0b11000, 0}), "not the shortest writing");
  ExpectBroken(Bytes({1, 1}), "not the shortest writing");
}

TEST(LedgerPage, RefusesWhatIsNoPage) {
  ExpectBroken("", "unknown version");
  ExpectBroken(Bytes({2, 0, 0}), "unknown version");
  ExpectBroken(Bytes({1}), "unknown form");
  ExpectBroken(Bytes({1, 2, 0}), "unknown form");
  ExpectBroken(Bytes({1, 0}), "count");
  ExpectBroken(Bytes({1, 0, 0x80, 0}), "count");
  ExpectBroken(Bytes({1, 0, 2, 20, 4}), "count above its bytes");
  ExpectBroken(Bytes({1, 0, 1, 0x80, 0x80}), "range cut short");
  ExpectBroken(Bytes({1, 0, 1, 20, 0}), "empty or touching range");
  ExpectBroken(Bytes({1, 0, 2, 20, 4, 0, 4}), "empty or touching range");
  ExpectBroken(Bytes({1, 0, 1, 20, 4, 0}), "bytes left over");
  ExpectBroken(Bytes({1, 0, 1, 0x80, 0x80, 0x04, 1}), "range beyond the end");     // starts at 65,536
  ExpectBroken(Bytes({1, 0, 1, 1, 0x80, 0x80, 0x04}), "range beyond the end");     // 65,536 from 1 on
  ExpectBroken(Bytes({1, 0, 2, 0, 0xff, 0xff, 3, 2, 1}), "range beyond the end");  // 65,535, then from 65,537 on
  ExpectBroken(std::string(kMaxLedgerPageBytes + 1, '\1'), "too long");
}

TEST(LedgerPage, RandomBytesNeverPassUnchecked) {
  std::mt19937 random(11);
  const std::string good = EncodeLedgerPage({{100, 2}, {900, 4}, {10'000, 50'000}});
  int read = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string bytes = good;
    for (auto change = 1 + random() % 3; change > 0; --change) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) bytes.resize(random() % (bytes.size() + 1));
    const auto decoded = DecodeLedgerPage(bytes);
    if (!decoded) continue;
    ++read;
    ASSERT_EQ(EncodeLedgerPage(*decoded), bytes);
  }
  EXPECT_GT(read, 1000);
}

TEST(LedgerPageDeathTest, RunsOutOfOrderOrBeyondThePageEndTheProcess) {
  const std::vector<Runs> wrong = {
      {{5, 2}, {7, 1}},    {{5, 2}, {3, 1}},       {{5, 0}}, {{-1, 2}}, {{kPageOffsets, 1}},
      {{1, kPageOffsets}}, {{0, kPageOffsets + 1}}};
  for (const Runs& runs : wrong) EXPECT_DEATH((void)EncodeLedgerPage(runs), "out of order or beyond the page");
}

TEST(PageKey, IsReadAsItWasWritten) {
  const PageKey key{{"hearth.invoke.std", 7}, 123'456'789'012, 15, 42};
  EXPECT_EQ(PageKeyText(key), "hearth.invoke.std/7/123456789012/15/42");
  EXPECT_EQ(ParsePageKey(PageKeyText(key)).value(), key);
  const PageKey most{{std::string(249, 'T'), std::numeric_limits<std::int32_t>::max()},
                     std::int64_t{1} << 56,
                     kMaxPage,
                     kMaxLedgerEpoch};
  EXPECT_EQ(ParsePageKey(PageKeyText(most)).value(), most);
  PageKey most_of_batch = most;
  most_of_batch.batch = {UserId(std::string(kMaxIdentifierBytes, 'u')), BatchId(std::string(kMaxBatchIdBytes, 'b'))};
  EXPECT_EQ(ParsePageKey(PageKeyText(most_of_batch)).value(), most_of_batch);
  EXPECT_LE(PageKeyText(most_of_batch).size(), kMaxPageKeyBytes);
  EXPECT_LE(PageKeyText(most).size(), kMaxPageKeyBytes);
  const PageKey least{{"t", 0}, 0, 0, 0};
  EXPECT_EQ(ParsePageKey(PageKeyText(least)).value(), least);
}

TEST(PageKey, ABatchHasPagesOfItsOwn) {
  const PageKey key{{"hearth.batches", 7}, 2, 15, 42, {UserId("alice"), BatchId("nightly-1")}};
  EXPECT_EQ(PageKeyText(key), "hearth.batches/7/alice/nightly-1/2/15/42");
  EXPECT_EQ(ParsePageKey(PageKeyText(key)).value(), key);
  const PageKey of_numbers{{"t", 7}, 2, 15, 42, {UserId("1"), BatchId("2")}};
  EXPECT_EQ(ParsePageKey("t/7/1/2/2/15/42").value(), of_numbers);
  for (const auto* wrong : {"t/7/alice/2/15/42", "t/7//b/2/15/42", "t/7/alice//2/15/42", "t/7/al ice/b/2/15/42",
                            "t/7/alice/b/2/15/42/", "t/7/alice/b/c/2/15/42", "t/7/alice/b/2/15"}) {
    EXPECT_FALSE(ParsePageKey(wrong)) << wrong;
  }
}

TEST(PageKey, EveryBoundIsChecked) {
  const std::vector<std::string> wrong = {
      "",
      "t",
      "t/1/2/3",
      "t/1/2/3/",
      "t/1/2/3/4/",
      "t/1/2/3/4/5",
      "/1/2/3/4",
      "a b/1/2/3/4",
      "t\n/1/2/3/4",
      "t/01/2/3/4",
      "t/-1/2/3/4",
      "t/+1/2/3/4",
      "t/1/2 /3/4",
      "t/1//3/4",
      "t/1/x/3/4",
      "t/2147483648/2/3/4",
      "t/1/72057594037927937/3/4",
      "t/1/2/140737488355327/4",
      "t/1/2/3/4611686018427387905",
      "t/1/2/3/99999999999999999999999",
      std::string(250, 't') + "/1/2/3/4",
      std::string("t/1/2/3/4\0", 10),
      std::string(100'000, '/'),
  };
  for (const auto& text : wrong) {
    const auto key = ParsePageKey(text);
    ASSERT_FALSE(key.has_value()) << text;
    EXPECT_EQ(key.error().code, Code::kInvalid);
  }
}

TEST(PageKey, TheLastPageHoldsTheLastOffsetsThatAreNumbers) {
  EXPECT_EQ(PageOf(0), 0);
  EXPECT_EQ(PageOf(kPageOffsets - 1), 0);
  EXPECT_EQ(PageOf(kPageOffsets), 1);
  EXPECT_LT(kMaxPage * kPageOffsets, std::numeric_limits<std::int64_t>::max() - kPageOffsets);
}

}  // namespace
}  // namespace hearth::dispatcher
