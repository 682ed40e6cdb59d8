// The ledger against a naive model, and its map against everything that can go wrong with it.
#include "dispatcher/core/ledger.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace hearth::dispatcher {
namespace {

// What the ledger must agree with: every offset's fate, one by one.
struct Model {
  std::map<std::int64_t, bool> received;  // offset → complete
  std::set<std::int64_t> unread;          // open, and not received in this epoch yet
  std::int64_t next = 0;
  std::int64_t unread_next = 0;
  std::int64_t unread_end = 0;

  [[nodiscard]] bool IsOpen(std::int64_t offset) const {
    if (offset >= next || unread.contains(offset)) return true;
    const auto one = received.find(offset);
    return one != received.end() && !one->second;
  }
  [[nodiscard]] std::set<std::int64_t> Open() const {
    std::set<std::int64_t> open = unread;
    for (const auto& [offset, complete] : received) {
      if (!complete) open.insert(offset);
    }
    return open;
  }
  [[nodiscard]] std::int64_t Lowest() const {
    const auto open = Open();
    return open.empty() ? next : *open.begin();
  }
  [[nodiscard]] std::int64_t Incomplete() const {
    std::int64_t count = 0;
    for (const auto& [offset, complete] : received) count += complete ? 0 : 1;
    return count;
  }
  void SkipUnreadTo(std::int64_t to) {
    unread.erase(unread.begin(), unread.lower_bound(to));
    unread_next = std::max(unread_next, std::min(to, unread_end));
  }
};

// Runs of offsets that follow each other, relative to `base`.
std::vector<LedgerRange> RunsOf(const std::set<std::int64_t>& offsets, std::int64_t base = 0) {
  std::vector<LedgerRange> runs;
  for (const std::int64_t offset : offsets) {
    if (!runs.empty() && runs.back().start + runs.back().length == offset - base) {
      ++runs.back().length;
    } else {
      runs.push_back({offset - base, 1});
    }
  }
  return runs;
}

// Ranges that touch each other made one.
std::vector<LedgerRange> Joined(const std::vector<LedgerRange>& ranges) {
  std::vector<LedgerRange> joined;
  for (const LedgerRange& range : ranges) {
    if (!joined.empty() && joined.back().start + joined.back().length == range.start) {
      joined.back().length += range.length;
    } else {
      joined.push_back(range);
    }
  }
  return joined;
}

void ExpectSame(const Ledger& ledger, const Model& model) {
  ASSERT_EQ(ledger.LowestIncomplete(), model.Lowest());
  ASSERT_EQ(ledger.next(), model.next);
  ASSERT_EQ(ledger.incomplete(), model.Incomplete());
  ASSERT_EQ(ledger.received(), static_cast<std::int64_t>(model.received.size()));
  ASSERT_EQ(Joined(ledger.Map(0).incomplete), RunsOf(model.Open(), model.Lowest()));
  ASSERT_GE(ledger.incomplete_ranges(), static_cast<std::int64_t>(RunsOf(model.Open()).size()));
  const std::int64_t most_cuts = model.unread_end == 0 ? 0 : 2;
  ASSERT_LE(ledger.incomplete_ranges(), static_cast<std::int64_t>(RunsOf(model.Open()).size()) + most_cuts)
      << "what is unread may be a range of its own";
  ASSERT_EQ(ledger.NextUnread().has_value(), !model.unread.empty());
  if (!model.unread.empty()) {
    ASSERT_EQ(*ledger.NextUnread(), *model.unread.begin());
  }
}

// The ranges that are told between two offsets are those of the model.
void ExpectSameBetween(const Ledger& ledger, const Model& model, std::int64_t from, std::int64_t to) {
  std::set<std::int64_t> open;
  std::set<std::int64_t> complete;
  for (std::int64_t offset = from; offset < to; ++offset) {
    ASSERT_EQ(ledger.IsOpen(offset), model.IsOpen(offset)) << offset;
    ASSERT_EQ(ledger.IsUnread(offset), model.unread.contains(offset)) << offset;
    if (!model.IsOpen(offset)) complete.insert(offset);
    if (offset < model.next && model.IsOpen(offset) && !model.unread.contains(offset)) open.insert(offset);
  }
  ASSERT_EQ(Joined(ledger.OpenBetween(from, to)), RunsOf(open));
  ASSERT_EQ(ledger.CompleteBetween(from, to), RunsOf(complete, from)) << "as a page has it";
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

TEST(LedgerModel, RandomTakeOversAgreeWithTheNaiveSet) {
  for (std::uint32_t seed = 1; seed <= 120; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const std::int64_t committed = static_cast<std::int64_t>(random() % 1000);
    LedgerMap map;
    map.span = static_cast<std::int64_t>(random() % 120);
    map.position = map.span + (random() % 2 == 0 ? 0 : static_cast<std::int64_t>(random() % 80));
    Model model;
    for (std::int64_t i = 0; i < map.position; ++i) {
      if (i >= map.span || random() % 3 != 0) model.unread.insert(committed + i);
    }
    std::set<std::int64_t> told;
    for (const std::int64_t offset : model.unread) {
      if (offset < committed + map.span) told.insert(offset);
    }
    map.incomplete = RunsOf(told, committed);
    model.next = model.unread_end = committed + map.position;
    model.unread_next = committed;
    Ledger ledger(committed, map);
    ASSERT_NO_FATAL_FAILURE(ExpectSame(ledger, model));

    for (int step = 0; step < 400; ++step) {
      const auto some = [&] { return committed + static_cast<std::int64_t>(random() % 220); };
      switch (random() % 10) {
        case 0:
        case 1: {  // what is new
          const std::int64_t offset = model.next + static_cast<std::int64_t>(random() % 3);
          ASSERT_EQ(ledger.Receive(offset), Ledger::Reception::kNew);
          model.received[offset] = false;
          model.next = offset + 1;
          break;
        }
        case 2:
        case 3: {  // what is unread, with what stands between it and the last
          if (model.unread_next >= model.unread_end) break;
          const std::int64_t offset =
              std::min(model.unread_end - 1, model.unread_next + static_cast<std::int64_t>(random() % 3));
          const bool open = model.unread.contains(offset);
          ASSERT_EQ(ledger.Receive(offset), open ? Ledger::Reception::kNew : Ledger::Reception::kClaimed);
          ASSERT_EQ(ledger.Receive(offset), Ledger::Reception::kRepeated);
          model.SkipUnreadTo(offset + 1);
          model.received[offset] = !open;
          break;
        }
        case 4: {
          const std::int64_t from = some();
          const std::int64_t to = from + static_cast<std::int64_t>(random() % 20);
          ledger.Claim(from, to);
          model.unread.erase(model.unread.lower_bound(from), model.unread.lower_bound(to));
          break;
        }
        case 5:
          if (random() % 8 == 0) {
            const std::int64_t to = some();
            ledger.SkipUnreadTo(to);
            model.SkipUnreadTo(to);
          }
          break;
        case 6:
          if (random() % 20 == 0) {
            ledger.ForgetInherited();
            for (std::int64_t at = model.unread_next; at < model.unread_end; ++at) model.unread.insert(at);
          }
          break;
        default: {
          const std::int64_t offset = some();
          const auto one = model.received.find(offset);
          ASSERT_EQ(ledger.Complete(offset), one != model.received.end() && !one->second) << offset;
          if (one != model.received.end()) one->second = true;
          break;
        }
      }
      ASSERT_NO_FATAL_FAILURE(ExpectSame(ledger, model));
      if (step % 20 == 0) {
        const std::int64_t from = some();
        ASSERT_NO_FATAL_FAILURE(ExpectSameBetween(ledger, model, from, from + 50));
      }
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
  map.position = 10;
  EXPECT_EQ(ledger.Map(0), map) << "before anything was read the claims stand as they were";
  EXPECT_EQ(ledger.Receive(100), Ledger::Reception::kNew);
  EXPECT_EQ(ledger.Receive(101), Ledger::Reception::kClaimed);
  ledger.Complete(100);
  EXPECT_EQ(ledger.LowestIncomplete(), 104) << "all below was completed by somebody";
  const LedgerMap later = ledger.Map(3);
  EXPECT_FALSE(later.Claims(0));
  EXPECT_FALSE(later.Claims(1));
  EXPECT_TRUE(later.Claims(2));
  EXPECT_TRUE(later.Claims(5));
  EXPECT_FALSE(later.Claims(6));
}

TEST(Ledger, WhatAFormerOwnerHasReadAndNotCompletedIsUnreadAndReadBesideWhatIsNew) {
  LedgerMap map;
  map.span = 10;
  map.incomplete = {{0, 1}, {4, 2}};  // 100, 104 and 105 were not complete
  Ledger ledger(100, map);
  EXPECT_EQ(ledger.next(), 110) << "what is new is read from there on";
  EXPECT_EQ(ledger.NextUnread(), 100);
  EXPECT_EQ(ledger.incomplete(), 0) << "nothing was received";
  EXPECT_EQ(ledger.Receive(110), Ledger::Reception::kNew);
  EXPECT_TRUE(ledger.IsUnread(104));
  EXPECT_FALSE(ledger.IsUnread(103));
  EXPECT_FALSE(ledger.IsUnread(110));
  EXPECT_FALSE(ledger.Complete(104)) << "it was not received in this epoch";
  EXPECT_EQ(ledger.Receive(100), Ledger::Reception::kNew);
  EXPECT_EQ(ledger.NextUnread(), 104);
  EXPECT_EQ(ledger.Receive(105), Ledger::Reception::kNew);
  EXPECT_EQ(ledger.NextUnread(), std::nullopt);
  EXPECT_FALSE(ledger.IsOpen(104)) << "what is not there between two that are is complete";
  EXPECT_EQ(ledger.Receive(104), Ledger::Reception::kRepeated);
  EXPECT_EQ(ledger.Receive(110), Ledger::Reception::kRepeated);
  EXPECT_EQ(ledger.received(), 3);
}

TEST(Ledger, WhatThePositionSaysBeyondTheSpanIsUnreadUntilPagesClaimIt) {
  LedgerMap map;
  map.span = 4;
  map.position = 10;
  map.incomplete = {{0, 1}};
  Ledger ledger(100, map);
  EXPECT_EQ(ledger.next(), 110);
  EXPECT_FALSE(ledger.IsOpen(103));
  for (std::int64_t offset = 104; offset < 110; ++offset) EXPECT_TRUE(ledger.IsUnread(offset)) << offset;
  ledger.Claim(90, 101);
  EXPECT_EQ(ledger.NextUnread(), 104) << "100 is complete";
  ledger.Claim(104, 106);
  ledger.Claim(108, 120);
  EXPECT_EQ(ledger.NextUnread(), 106);
  EXPECT_TRUE(ledger.IsOpen(115)) << "nobody has read it yet";
  ledger.Receive(106);
  ledger.Claim(106, 107);
  EXPECT_TRUE(ledger.IsOpen(106)) << "what was received only we complete";
  ledger.SkipUnreadTo(200);
  EXPECT_EQ(ledger.NextUnread(), std::nullopt);
  EXPECT_EQ(ledger.next(), 110) << "of what is new nothing is passed";
  EXPECT_TRUE(ledger.Complete(106));
  EXPECT_EQ(ledger.LowestIncomplete(), 110);
}

TEST(Ledger, ASpanThatEndsWithSomethingOpenGoesOnInWhatIsUnread) {
  LedgerMap map;
  map.span = 4;
  map.position = 10;
  map.incomplete = {{2, 2}};
  const Ledger ledger(100, map);
  EXPECT_EQ(ledger.incomplete_ranges(), 1);
  EXPECT_EQ(ledger.LowestIncomplete(), 102);
  EXPECT_TRUE(ledger.IsUnread(109));
}

TEST(Ledger, WhatIsUnreadStaysOpenForTheNextOwner) {
  LedgerMap map;
  map.span = 10;
  map.incomplete = {{0, 1}, {4, 2}};
  Ledger ledger(100, map);
  ledger.Receive(110);
  ledger.Receive(111);
  ledger.Complete(110);
  const LedgerMap later = ledger.Map(3);
  EXPECT_EQ(later.position, 12);
  EXPECT_EQ(later.span, 12);
  EXPECT_FALSE(later.Claims(0));
  EXPECT_TRUE(later.Claims(3));
  EXPECT_FALSE(later.Claims(4));
  EXPECT_TRUE(later.Claims(10));
  EXPECT_FALSE(later.Claims(11));
}

TEST(LedgerMap, WhatIsCutSpeaksOfLessAndItsPositionStays) {
  LedgerMap map{.span = 20, .position = 20, .incomplete = {{0, 1}, {4, 4}, {12, 8}}};
  map.CutTo(25);
  EXPECT_EQ(map.span, 20) << "it is no longer for that";
  map.CutTo(6);
  EXPECT_EQ(map, (LedgerMap{.span = 6, .position = 20, .incomplete = {{0, 1}, {4, 2}}}));
  map.CutTo(4);
  EXPECT_EQ(map, (LedgerMap{.span = 4, .position = 20, .incomplete = {{0, 1}}}));
  map.CutTo(-3);
  EXPECT_EQ(map, (LedgerMap{.span = 0, .position = 20, .incomplete = {}}));
}

TEST(Ledger, WhatEarlierOwnersHaveCompletedOfOtherRecordsIsForgotten) {
  LedgerMap map;
  map.span = 10;
  map.incomplete = {{0, 1}, {4, 2}};
  Ledger ledger(100, map);
  ledger.Receive(100);
  ledger.Complete(100);
  ledger.ForgetInherited();
  EXPECT_FALSE(ledger.IsOpen(100)) << "that is ours";
  for (std::int64_t offset = 101; offset < 110; ++offset) EXPECT_TRUE(ledger.IsUnread(offset)) << offset;
  EXPECT_EQ(ledger.NextUnread(), 101);
  ledger.SkipUnreadTo(110);
  ledger.ForgetInherited();
  EXPECT_EQ(ledger.NextUnread(), std::nullopt) << "all was looked through";
}

TEST(Ledger, OpenIsToldOfWhatWasReceivedOnlyAndCompleteOfNothingAboveNext) {
  LedgerMap map;
  map.span = 10;
  map.incomplete = {{0, 10}};
  Ledger ledger(100, map);
  for (const std::int64_t offset : {100, 101, 110, 112}) ledger.Receive(offset);
  ledger.Complete(101);
  using Ranges = std::vector<LedgerRange>;
  EXPECT_EQ(ledger.OpenBetween(0, 200), (Ranges{{100, 1}, {110, 1}, {112, 1}}));
  EXPECT_EQ(ledger.OpenBetween(110, 112), (Ranges{{110, 1}}));
  EXPECT_EQ(ledger.CompleteBetween(98, 200), (Ranges{{0, 2}, {3, 1}, {13, 1}}));
  EXPECT_EQ(ledger.CompleteBetween(101, 102), (Ranges{{0, 1}}));
  EXPECT_EQ(ledger.CompleteBetween(113, 200), Ranges{});
  EXPECT_EQ(ledger.CompleteBetween(500, 600), Ranges{});
}

TEST(LedgerMap, ACutMapTellsWhereItsOwnerHadComeTo) {
  Ledger ledger(1000, {});
  for (std::int64_t offset = 1000; offset < 1200; ++offset) ledger.Receive(offset);
  for (std::int64_t offset = 1001; offset < 1200; offset += 2) ledger.Complete(offset);
  const EncodedLedgerMap cut = EncodeLedgerMap(ledger.Map(5), 90);
  EXPECT_TRUE(cut.truncated);
  EXPECT_LT(cut.span, 200);
  EXPECT_GT(cut.span, 0);
  const auto decoded = DecodeLedgerMap(cut.text);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->span, cut.span);
  EXPECT_EQ(decoded->position, 200);
  EXPECT_EQ(EncodeLedgerMap(*decoded, 90).text, cut.text) << "one map has one text";
  EXPECT_EQ(IntakePosition(1000, cut.text), 1200);
  const EncodedLedgerMap whole = EncodeLedgerMap(ledger.Map(5));
  EXPECT_FALSE(whole.truncated);
  EXPECT_EQ(DecodeLedgerMap(whole.text)->position, 200);
  EXPECT_EQ(IntakePosition(1000, whole.text), 1200);
}

TEST(LedgerMap, APositionWithinTheSpanIsNoMap) {
  for (const char* bad : {"AwMAAAUAFAA=", "AwMAABQAFAA="}) {  // positions 5 and 20, of a span of 20
    const auto map = DecodeLedgerMap(bad);
    ASSERT_FALSE(map.has_value());
    EXPECT_EQ(map.error().message, "ledger map: position within the span");
  }
  ASSERT_TRUE(DecodeLedgerMap("AwMAABUAFAA=").has_value()) << "21";
  EXPECT_EQ(DecodeLedgerMap("AwMAABUAFAA=")->position, 21);
}

TEST(LedgerMap, WhoCannotReadTheMetadataReadsFromTheCommit) {
  EXPECT_EQ(IntakePosition(77, ""), 77);
  EXPECT_EQ(IntakePosition(77, "!! not a map !!"), 77);
  EXPECT_EQ(IntakePosition(77, EncodeLedgerMap({.epoch = 3, .span = 20, .incomplete = {{1, 2}}}).text), 97);
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
