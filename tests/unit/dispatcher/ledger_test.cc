// The ledger against a naive model, and its map against everything that can go wrong with it.
#include "dispatcher/core/ledger.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>

namespace hearth::dispatcher {
namespace {

// What the ledger must agree with: every offset's fate, one by one.
struct Model {
  std::map<std::int64_t, bool> received;  // offset → complete
  std::int64_t next = 0;

  [[nodiscard]] std::int64_t Lowest() const {
    for (const auto& [offset, complete] : received) {
      if (!complete) return offset;
    }
    return next;
  }
  [[nodiscard]] std::int64_t Ranges() const {
    std::int64_t ranges = 0;
    std::int64_t last = -2;
    for (const auto& [offset, complete] : received) {
      if (complete) continue;
      if (offset != last + 1) ++ranges;
      last = offset;
    }
    return ranges;
  }
  [[nodiscard]] std::int64_t Incomplete() const {
    std::int64_t count = 0;
    for (const auto& [offset, complete] : received) count += complete ? 0 : 1;
    return count;
  }
};

void ExpectSame(const Ledger& ledger, const Model& model) {
  ASSERT_EQ(ledger.LowestIncomplete(), model.Lowest());
  ASSERT_EQ(ledger.next(), model.next);
  ASSERT_EQ(ledger.incomplete(), model.Incomplete());
  ASSERT_EQ(ledger.incomplete_ranges(), model.Ranges());
}

// No map may claim a record that was not completed; a whole one claims every record that was.
void ExpectHonest(const Ledger& ledger, const Model& model, std::size_t limit) {
  const std::int64_t base = ledger.LowestIncomplete();
  const EncodedLedgerMap encoded = EncodeLedgerMap(ledger.Map(7), limit);
  ASSERT_LE(encoded.text.size(), limit);
  const auto decoded = DecodeLedgerMap(encoded.text);
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  ASSERT_EQ(decoded->epoch, 7);
  for (const auto& [offset, complete] : model.received) {
    if (offset < base) {
      ASSERT_TRUE(complete);
    } else if (decoded->Claims(offset - base)) {
      ASSERT_TRUE(complete) << "claims " << offset << " which was only seen";
    } else if (!encoded.truncated) {
      ASSERT_FALSE(complete) << "forgot " << offset;
    }
  }
  ASSERT_FALSE(decoded->Claims(model.next - base)) << "claims a record that was never received";
}

TEST(LedgerModel, RandomLivesAgreeWithTheNaiveSet) {
  for (std::uint32_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const std::int64_t start = static_cast<std::int64_t>(random() % 1000);
    Ledger ledger(start, {});
    Model model;
    model.next = start;
    for (int step = 0; step < 600; ++step) {
      if (random() % 2 == 0) {
        const std::int64_t gap = random() % 5 == 0 ? static_cast<std::int64_t>(random() % 50) : 0;
        const std::int64_t offset = model.next + gap;
        ASSERT_EQ(ledger.Receive(offset), Ledger::Reception::kNew);
        ASSERT_EQ(ledger.Receive(offset), Ledger::Reception::kRepeated);
        model.received[offset] = false;
        model.next = offset + 1;
      } else if (!model.received.empty()) {
        auto it = model.received.begin();
        std::advance(it, static_cast<std::ptrdiff_t>(random() % model.received.size()));
        ASSERT_EQ(ledger.Complete(it->first), !it->second);
        it->second = true;
      }
      ExpectSame(ledger, model);
      if (step % 50 == 0) ExpectHonest(ledger, model, step % 100 == 0 ? kMaxLedgerMapBytes : 40);
    }
  }
}

TEST(LedgerModel, EveryPatternOfSmallWindowsSurvivesTheMap) {
  for (int window = 0; window <= 10; ++window) {
    for (std::uint32_t pattern = 0; pattern < (1U << window); ++pattern) {
      Ledger ledger(100, {});
      Model model;
      model.next = 100;
      for (int i = 0; i < window; ++i) {
        ledger.Receive(100 + i);
        model.received[100 + i] = false;
        ++model.next;
      }
      for (int i = 0; i < window; ++i) {
        if ((pattern >> i) & 1U) {
          ledger.Complete(100 + i);
          model.received[100 + i] = true;
        }
      }
      ExpectSame(ledger, model);
      ExpectHonest(ledger, model, kMaxLedgerMapBytes);

      // The next owner gets back exactly the records that were not complete.
      const std::int64_t base = ledger.LowestIncomplete();
      const auto map = DecodeLedgerMap(EncodeLedgerMap(ledger.Map(1)).text);
      ASSERT_TRUE(map.has_value());
      Ledger next(base, *map);
      for (std::int64_t offset = base; offset < model.next; ++offset) {
        const bool claimed = next.Receive(offset) == Ledger::Reception::kClaimed;
        ASSERT_EQ(claimed, model.received[offset])
            << "window " << window << " pattern " << pattern << " offset " << offset;
      }
      ASSERT_EQ(next.incomplete(), model.Incomplete());
    }
  }
}

TEST(Ledger, GapsAreCompleteAndCostNothing) {
  Ledger ledger(0, {});
  ledger.Receive(5);
  ledger.Receive(4'000'000'000'000);
  EXPECT_EQ(ledger.LowestIncomplete(), 5);
  EXPECT_TRUE(ledger.Complete(5));
  EXPECT_EQ(ledger.LowestIncomplete(), 4'000'000'000'000);
  EXPECT_FALSE(ledger.Complete(77));
  EXPECT_EQ(ledger.received(), 2);
}

TEST(Ledger, ClaimsOfEarlierOwnersStayUntilTheyAreReached) {
  LedgerMap map;
  map.span = 10;
  map.incomplete = {{0, 1}, {4, 2}};  // 100, 104 and 105 were not complete
  Ledger ledger(100, map);
  EXPECT_EQ(ledger.Map(0), map) << "before anything was read the claims stand as they were";
  EXPECT_EQ(ledger.Receive(100), Ledger::Reception::kNew);
  EXPECT_EQ(ledger.Receive(101), Ledger::Reception::kClaimed);
  ledger.Complete(100);
  EXPECT_EQ(ledger.LowestIncomplete(), 102);
  const LedgerMap later = ledger.Map(3);
  EXPECT_TRUE(later.Claims(0));
  EXPECT_TRUE(later.Claims(1));
  EXPECT_FALSE(later.Claims(2));
  EXPECT_FALSE(later.Claims(3));
  EXPECT_TRUE(later.Claims(7));
  EXPECT_FALSE(later.Claims(8));
}

TEST(LedgerMap, AnyPatternOfTheWidestWindowFits) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 5; ++round) {
    Ledger ledger(1'000'000'000'000, {});
    for (std::int64_t i = 0; i < 24'000; ++i) ledger.Receive(1'000'000'000'000 + i);
    for (std::int64_t i = 1; i < 24'000; ++i) {
      if (round == 0 ? i % 2 == 0 : random() % 2 == 0) ledger.Complete(1'000'000'000'000 + i);
    }
    const EncodedLedgerMap encoded = EncodeLedgerMap(ledger.Map(std::int64_t{1} << 40));
    EXPECT_FALSE(encoded.truncated);
    EXPECT_LE(encoded.text.size(), kMaxLedgerMapBytes);
  }
}

TEST(LedgerMap, AThousandScatteredRecordsOfAMillionFit) {
  Ledger ledger(0, {});
  for (std::int64_t i = 0; i < 1'000'000; ++i) ledger.Receive(i);
  for (std::int64_t i = 0; i < 1'000'000; ++i) {
    if (i % 1000 != 0) ledger.Complete(i);
  }
  EXPECT_EQ(ledger.incomplete_ranges(), 1000);
  EXPECT_FALSE(EncodeLedgerMap(ledger.Map(5)).truncated);
}

TEST(LedgerMap, WhatDoesNotFitIsCutToAnHonestPrefix) {
  LedgerMap map;
  map.epoch = 9;
  map.span = 1'000'000;
  for (std::int64_t i = 0; i < 100'000; ++i) map.incomplete.push_back({i * 10, 3});
  const EncodedLedgerMap encoded = EncodeLedgerMap(map);
  EXPECT_TRUE(encoded.truncated);
  EXPECT_LE(encoded.text.size(), kMaxLedgerMapBytes);
  const auto decoded = DecodeLedgerMap(encoded.text);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_GT(decoded->span, 20'000);
  for (std::int64_t i = 0; i < map.span; ++i) {
    ASSERT_TRUE(!decoded->Claims(i) || map.Claims(i)) << i;
    if (i < decoded->span) {
      ASSERT_EQ(decoded->Claims(i), map.Claims(i)) << i;
    }
  }
}

TEST(LedgerMap, RefusesWhatIsNoMap) {
  const std::string good = EncodeLedgerMap({.epoch = 3, .span = 20, .incomplete = {{1, 2}, {9, 4}}}).text;
  ASSERT_TRUE(DecodeLedgerMap(good).has_value());
  for (const char* bad : {"", "====", "A", "hello world", "AQ", "AQ==", "AgMAFAI=", "////////", "AQMBFAAA/w=="}) {
    EXPECT_FALSE(DecodeLedgerMap(bad).has_value()) << bad;
  }
  for (std::size_t cut = 0; cut < good.size(); ++cut)
    EXPECT_FALSE(DecodeLedgerMap(good.substr(0, cut)).has_value()) << cut;
}

TEST(LedgerMap, RandomBytesNeverPassUnchecked) {
  std::mt19937_64 random(5);
  const std::string good = EncodeLedgerMap({.epoch = 3, .span = 200, .incomplete = {{1, 2}, {9, 4}, {100, 50}}}).text;
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = good;
    for (std::uint64_t change = 0; change <= random() % 3; ++change) {
      text[random() % text.size()] = kDigits[random() % kDigits.size()];
    }
    const auto decoded = DecodeLedgerMap(text);
    if (!decoded) continue;
    ++accepted;
    std::int64_t end = -1;
    for (const LedgerRange& range : decoded->incomplete) {
      ASSERT_GT(range.start, end);
      ASSERT_GT(range.length, 0);
      end = range.start + range.length;
      ASSERT_LE(end, decoded->span);
    }
    // What is accepted says the same again when written again.
    const auto again = DecodeLedgerMap(EncodeLedgerMap(*decoded).text);
    ASSERT_TRUE(again.has_value());
    ASSERT_EQ(*again, *decoded);
  }
  EXPECT_GT(accepted, 0);
}

}  // namespace
}  // namespace hearth::dispatcher
