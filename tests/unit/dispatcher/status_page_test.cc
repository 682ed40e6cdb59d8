// Pages of statuses: what is written is read, one page has one text, an item has one status, and counts are sums.
#include "dispatcher/core/status_page.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "dispatcher/core/item_statuses.h"
#include "schemas/limits.h"

namespace hearth::dispatcher {
namespace {

std::string Bytes(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) text.push_back(static_cast<char>(byte));
  return text;
}

void ExpectRoundTrip(const StatusPage& page) {
  const std::string bytes = page.Encode();
  ASSERT_FALSE(bytes.empty());
  ASSERT_LE(bytes.size(), kMaxStatusPageBytes);
  const auto read = StatusPage::Decode(bytes, page.items());
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(*read, page);
}

void ExpectBroken(const std::string& bytes, const std::string& why, std::int64_t items = 100) {
  const auto read = StatusPage::Decode(bytes, items);
  ASSERT_FALSE(read) << why;
  EXPECT_EQ(read.error().code, Code::kInvalid);
  EXPECT_EQ(read.error().message, "status page: " + why);
}

ItemStatus AnyTerminal(std::mt19937& random) {
  return static_cast<ItemStatus>(1 + random() % (kItemStatuses.size() - 1));
}

// What a page says, kept in the plainest way.
struct Model {
  std::vector<ItemStatus> statuses;
  std::map<std::int64_t, ItemTries> tries;

  [[nodiscard]] ItemCounts Counts() const {
    ItemCounts counts;
    for (const ItemStatus status : statuses) ++counts[status];
    return counts;
  }
};

TEST(StatusPage, AgreesWithAPlainModelWhateverHappens) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    std::mt19937 random(seed);
    const std::int64_t items = seed % 3 == 0 ? kPageItems : 1 + static_cast<std::int64_t>(random() % 3000);
    StatusPage page(items);
    Model model{std::vector<ItemStatus>(static_cast<std::size_t>(items)), {}};
    for (int step = 0; step < 4000; ++step) {
      const auto item = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(items));
      ItemStatus& status = model.statuses[static_cast<std::size_t>(item)];
      if (random() % 4 != 0) {
        const ItemStatus end = AnyTerminal(random);
        ASSERT_EQ(page.End(item, end), status == ItemStatus::kPending);
        if (status != ItemStatus::kPending) continue;
        status = end;
        model.tries.erase(item);
      } else if (status == ItemStatus::kPending) {
        const ItemTries tries{static_cast<std::int32_t>(random() % 3), static_cast<std::int32_t>(random() % 3)};
        page.SetTries(item, tries);
        if (tries == ItemTries()) {
          model.tries.erase(item);
        } else {
          model.tries[item] = tries;
        }
      }
    }
    if (seed % 4 == 0) {
      page.Redrive(StatusSelection::Default());
      for (ItemStatus& status : model.statuses) {
        if (StatusSelection::Default().Has(status)) status = ItemStatus::kPending;
      }
      model.tries.clear();
    }
    ASSERT_EQ(page.Counts(), model.Counts()) << seed;
    ASSERT_EQ(page.Counts().Total(), items);
    ASSERT_EQ(page.tries(), model.tries);
    for (std::int64_t item = 0; item < items; ++item) {
      ASSERT_EQ(page.Of(item), model.statuses[static_cast<std::size_t>(item)]) << seed << " " << item;
    }
    ExpectRoundTrip(page);
  }
}

TEST(StatusPage, RunsAreShortAndTheWorstIsFourBitsAnItem) {
  StatusPage page(kPageItems);
  EXPECT_EQ(page.Encode(), Bytes({1, 2, 0, 0})) << "all pending";
  for (std::int64_t item = 0; item < kPageItems; ++item) page.End(item, ItemStatus::kOk);
  EXPECT_EQ(page.Encode(), Bytes({1, 2, 3, 0x81, 0x80, 0x40, 0})) << "65,536 × 16 + 1";
  StatusPage mixed(kPageItems);
  for (std::int64_t item = 0; item < kPageItems; ++item) {
    mixed.End(item, item % 2 == 0 ? ItemStatus::kOk : ItemStatus::kGone);
  }
  EXPECT_EQ(mixed.Encode().size(), 2U + 3U + kPageItems / 2 + 1U);
  ExpectRoundTrip(mixed);
}

TEST(StatusPage, OnePageHasOneText) {
  StatusPage page(100);
  page.End(0, ItemStatus::kOk);
  page.SetTries(2, {3, 1});
  EXPECT_EQ(page.Encode(), Bytes({1, 2, 1, 0x11, 1, 2, 3, 1})) << "as long as nibbles: runs";
  page.End(1, ItemStatus::kError);
  EXPECT_EQ(page.Encode(), Bytes({1, 3, 1, 0x21, 1, 2, 3, 1})) << "two runs, or one byte of nibbles";
  ExpectBroken(Bytes({1, 2, 2, 0x11, 0x12, 0}), "not the shortest writing");
  ExpectBroken(Bytes({1, 3, 1, 0x01, 0}), "not the shortest writing");
  ExpectBroken(Bytes({1, 2, 2, 0x11, 0x11, 0}), "not the shortest writing");
  ExpectBroken(Bytes({1, 2, 2, 0x31, 0x20, 0}), "not the shortest writing");
  ExpectBroken(Bytes({1, 3, 2, 0x11, 0, 0}), "not the shortest writing");
}

TEST(StatusPage, RefusesWhatIsNoPage) {
  ExpectBroken("", "unknown version");
  ExpectBroken(Bytes({2, 2, 0, 0}), "unknown version");
  ExpectBroken(Bytes({1}), "unknown form");
  ExpectBroken(Bytes({1, 4, 0, 0}), "unknown form");
  ExpectBroken(Bytes({1, 0xff, 0, 0}), "unknown form");
  ExpectBroken(EncodeLedgerPage({{3, 40}}), "unknown form");
  ExpectBroken(Bytes({1, 2}), "size");
  ExpectBroken(Bytes({1, 2, 2, 0x11}), "size");
  ExpectBroken(Bytes({1, 2, 1, 0x80, 0}), "run cut short");
  ExpectBroken(Bytes({1, 2, 1, 0x1a, 0}), "unknown status");
  ExpectBroken(Bytes({1, 2, 1, 0x01, 0}), "empty run, or one beyond the page");
  ExpectBroken(Bytes({1, 2, 2, 0xd1, 0x0c, 0}), "empty run, or one beyond the page");  // 101 of 100
  ExpectBroken(Bytes({1, 3, 1, 0xa1, 0}), "unknown status");
  ExpectBroken(Bytes({1, 3, 1, 0x1a, 0}), "unknown status");
  ExpectBroken(Bytes({1, 3, 2, 0x21, 0x21, 0}), "statuses beyond the page", 3);
  ExpectBroken(Bytes({1, 3, 3, 0x21, 0x21, 0x21, 0}), "statuses beyond the page", 3);
  ExpectBroken(Bytes({1, 2, 0}), "count of tries");
  ExpectBroken(Bytes({1, 2, 0, 0x81, 0x20}), "count of tries");  // 4,097
  ExpectBroken(Bytes({1, 2, 0, 1, 0, 1}), "tries cut short");
  ExpectBroken(Bytes({1, 2, 0, 1, 100, 1, 0}), "tries beyond the page");
  ExpectBroken(Bytes({1, 2, 0, 2, 99, 1, 0, 0, 1, 0}), "tries beyond the page");
  ExpectBroken(Bytes({1, 2, 0, 1, 0, 0, 0}), "no such number of tries");
  ExpectBroken(Bytes({1, 2, 0, 1, 0, 101, 0}), "no such number of tries");
  ExpectBroken(Bytes({1, 2, 0, 1, 0, 0, 4}), "no such number of tries");
  ExpectBroken(Bytes({1, 2, 1, 0x11, 1, 0, 1, 0}), "tries of an item that has ended");
  ExpectBroken(Bytes({1, 2, 0, 0, 0}), "bytes left over");
  ExpectBroken(std::string(kMaxStatusPageBytes + 1, '\1'), "too long");
}

TEST(StatusPage, TheLargestFits) {
  StatusPage page(kPageItems);
  for (std::int64_t item = 0; item < kPageItems; ++item) {
    if (item % 16 == 0) {
      page.SetTries(item, {kMaxAttempts, kMaxInfrastructureFailures});
    } else {
      page.End(item, item % 2 == 0 ? ItemStatus::kOk : ItemStatus::kGone);
    }
  }
  ASSERT_EQ(page.tries().size(), kMaxItemsInBackOff);
  ExpectRoundTrip(page);
}

TEST(StatusPage, RandomBytesNeverPassUnchecked) {
  std::mt19937 random(11);
  StatusPage good(1000);
  for (std::int64_t item = 10; item < 700; ++item) good.End(item, item < 300 ? ItemStatus::kOk : ItemStatus::kOom);
  for (std::int64_t item = 700; item < 720; item += 3) good.SetTries(item, {2, 1});
  const std::string text = good.Encode();
  int read = 0;
  for (int round = 0; round < 100'000; ++round) {
    std::string bytes = text;
    for (auto change = 1 + random() % 3; change > 0; --change) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) bytes.resize(random() % (bytes.size() + 1));
    const auto decoded = StatusPage::Decode(bytes, 1000);
    if (!decoded) continue;
    ++read;
    ASSERT_EQ(decoded->Encode(), bytes);
    ASSERT_EQ(decoded->Counts().Total(), 1000);
  }
  EXPECT_GT(read, 1000);
}

TEST(StatusPageDeathTest, WhatCannotBeEndsTheProcess) {
  EXPECT_DEATH((void)StatusPage(0), "no such number of items");
  EXPECT_DEATH((void)StatusPage(kPageItems + 1), "no such number of items");
  StatusPage page(3);
  EXPECT_DEATH((void)page.Of(3), "beyond its page");
  EXPECT_DEATH(page.End(0, ItemStatus::kPending), "cannot end as pending");
  page.End(0, ItemStatus::kOk);
  EXPECT_DEATH(page.SetTries(0, {1, 0}), "not tried again");
  EXPECT_DEATH(page.SetTries(1, {kMaxAttempts + 1, 0}), "failed so often");
  EXPECT_DEATH(page.SetTries(1, {0, kMaxInfrastructureFailures + 1}), "lost so many machines");
}

PageKey KeyOf(std::int64_t generation, std::int64_t page, std::int64_t epoch) {
  return {{"hearth.batches", 3}, generation, page, epoch, {UserId("alice"), BatchId("b")}};
}

std::string PageOfOne(std::int64_t items, std::int64_t item, ItemStatus status) {
  StatusPage page(items);
  page.End(item, status);
  return page.Encode();
}

TEST(ItemStatuses, OfSeveralEpochsTheHighestWinsWhole) {
  const std::vector<std::pair<PageKey, std::string>> pages = {
      {KeyOf(0, 0, 4), PageOfOne(50, 1, ItemStatus::kOk)},
      {KeyOf(0, 0, 6), PageOfOne(50, 2, ItemStatus::kError)},
      {KeyOf(0, 0, 5), PageOfOne(50, 3, ItemStatus::kOom)},
  };
  for (std::size_t first = 0; first < pages.size(); ++first) {
    ItemStatuses statuses(50, 0, {});
    for (std::size_t i = 0; i < pages.size(); ++i) {
      const auto& [key, value] = pages[(first + i) % pages.size()];
      ASSERT_TRUE(statuses.Read(key, value));
    }
    EXPECT_EQ(statuses.Of(2), ItemStatus::kError);
    EXPECT_EQ(statuses.Of(1), ItemStatus::kPending) << "no union";
    EXPECT_EQ(statuses.Counts()[ItemStatus::kPending], 49);
  }
}

TEST(ItemStatuses, APageOfAnEarlierGenerationIsReadThroughTheSelection) {
  StatusPage before(50);
  before.End(0, ItemStatus::kOk);
  before.End(1, ItemStatus::kError);
  before.End(2, ItemStatus::kCancelled);
  before.SetTries(3, {1, 0});
  ItemStatuses statuses(50, 2, StatusSelection::Default());
  ASSERT_TRUE(statuses.Read(KeyOf(0, 0, 9), before.Encode()));
  EXPECT_EQ(statuses.Of(0), ItemStatus::kOk);
  EXPECT_EQ(statuses.Of(1), ItemStatus::kPending);
  EXPECT_EQ(statuses.Of(2), ItemStatus::kCancelled);
  EXPECT_EQ(statuses.TriesOf(3), ItemTries()) << "a redrive begins anew";
  ASSERT_TRUE(statuses.Read(KeyOf(2, 0, 3), PageOfOne(50, 1, ItemStatus::kError)));
  EXPECT_EQ(statuses.Of(1), ItemStatus::kError) << "its own generation wins, whatever the epoch";
  ASSERT_TRUE(statuses.Read(KeyOf(1, 0, 12), before.Encode()));
  EXPECT_EQ(statuses.Of(0), ItemStatus::kPending);
}

TEST(ItemStatuses, WhatIsNoPageOfTheBatchIsNotTaken) {
  ItemStatuses statuses(kPageItems + 10, 1, {});
  EXPECT_EQ(statuses.pages(), 2);
  EXPECT_EQ(statuses.page(1).items(), 10);
  const auto late = statuses.Read(KeyOf(2, 0, 1), PageOfOne(kPageItems, 0, ItemStatus::kOk));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().message, "hearth.batches/3/alice/b/2/0/1: a generation that has not begun");
  EXPECT_FALSE(statuses.Read(KeyOf(1, 2, 1), PageOfOne(10, 0, ItemStatus::kOk)));
  EXPECT_FALSE(statuses.Read(KeyOf(1, 1, 1), PageOfOne(11, 10, ItemStatus::kOk))) << "of more items";
  ASSERT_TRUE(statuses.Read(KeyOf(1, 1, 1), PageOfOne(10, 9, ItemStatus::kOk)));
  EXPECT_FALSE(statuses.Read(KeyOf(1, 1, 2), "rubbish"));
  EXPECT_EQ(statuses.Of(kPageItems + 9), ItemStatus::kOk) << "what was read before stays";
}

TEST(ItemStatuses, CountsAreThoseOfItsItemsAfterAnything) {
  std::mt19937 random(3);
  const std::int64_t total = 2 * kPageItems + 77;
  ItemStatuses statuses(total, 0, {});
  std::vector<ItemStatus> model(static_cast<std::size_t>(total));
  for (int round = 0; round < 20; ++round) {
    for (int step = 0; step < 5000; ++step) {
      const auto item = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(total));
      const ItemStatus end = AnyTerminal(random);
      ItemStatus& status = model[static_cast<std::size_t>(item)];
      ASSERT_EQ(statuses.End(item, end), status == ItemStatus::kPending);
      if (status == ItemStatus::kPending) status = end;
    }
    if (round == 9) {
      statuses.Redrive(StatusSelection::Default());
      for (ItemStatus& status : model) {
        if (StatusSelection::Default().Has(status)) status = ItemStatus::kPending;
      }
    }
    ItemCounts counts;
    for (const ItemStatus status : model) ++counts[status];
    ASSERT_EQ(statuses.Counts(), counts) << round;
  }
  EXPECT_EQ(statuses.generation(), 1);
}

}  // namespace
}  // namespace hearth::dispatcher
