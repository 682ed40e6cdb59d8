// Names of batches and items, keys, and the table of items' statuses.
#include "schemas/batch.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "schemas/limits.h"
#include "schemas/request.h"

namespace hearth {
namespace {

const BatchRef kRef{UserId("alice"), BatchId("nightly-1")};

TEST(BatchKey, IsReadAsItWasWritten) {
  EXPECT_EQ(FormatBatchRef(kRef), "alice/nightly-1");
  EXPECT_EQ(ParseBatchRef("alice/nightly-1").value(), kRef);
  EXPECT_EQ(FormatBatchKey({kRef, BatchKey::Kind::kSpec, {}}), "alice/nightly-1/spec");
  EXPECT_EQ(FormatBatchKey({kRef, BatchKey::Kind::kAccepted, {}}), "alice/nightly-1/accepted");
  EXPECT_EQ(FormatBatchKey({kRef, BatchKey::Kind::kWant, WantField::kRedrive}), "alice/nightly-1/want/redrive");
  std::set<std::string> texts;
  for (const auto kind : {BatchKey::Kind::kSpec, BatchKey::Kind::kAccepted}) {
    const BatchKey key{kRef, kind, {}};
    EXPECT_EQ(ParseBatchKey(FormatBatchKey(key)).value(), key);
    texts.insert(FormatBatchKey(key));
  }
  for (const WantFieldRow& row : kWantFields) {
    const BatchKey key{kRef, BatchKey::Kind::kWant, row.field};
    EXPECT_EQ(ParseBatchKey(FormatBatchKey(key)).value(), key);
    texts.insert(FormatBatchKey(key));
  }
  EXPECT_EQ(texts.size(), 2 + kWantFields.size());
}

TEST(BatchKey, WhatIsNoneIsRefused) {
  const std::string longest(kMaxBatchIdBytes, 'b');
  EXPECT_TRUE(ParseBatchRef("alice/" + longest));
  for (const auto& text :
       {std::string(), std::string("alice"), std::string("/b"), std::string("alice/"), std::string("al ice/b"),
        std::string("alice/b/c"), "alice/" + longest + "b", std::string(kMaxIdentifierBytes + 1, 'u') + "/b"}) {
    const auto ref = ParseBatchRef(text);
    ASSERT_FALSE(ref) << text;
    EXPECT_EQ(ref.error().code, Code::kInvalid);
  }
  for (const auto* text : {"", "alice/b", "alice/b/", "alice/b/specs", "alice/b/spec/", "alice/b/want", "alice/b/want/",
                           "alice/b/want/speed", "alice/b/want/run/", "alice//spec", "/b/spec", "alice/b/state"}) {
    const auto key = ParseBatchKey(text);
    ASSERT_FALSE(key) << text;
    EXPECT_EQ(key.error().code, Code::kInvalid);
  }
  EXPECT_NE(ParseBatchKey("alice/b/want/speed").error().message.find("run, concurrency"), std::string::npos)
      << "it says what there is";
  EXPECT_LT(ParseBatchKey(std::string(100'000, 'x')).error().message.size(), 1000U);
}

TEST(Batch, IdsOfItemsNameInvocationsAndAreTheirOwn) {
  EXPECT_EQ(ItemInvocationId(BatchId("b"), 7, 0).value, "b.7");
  EXPECT_EQ(ItemInvocationId(BatchId("b"), 7, 2).value, "b.7.g2");
  EXPECT_EQ(ItemInvocationId(BatchId("b"), -1, 0).value, "b.-1");
  for (const char* batch : {"b", "b.7", "b.g1", "b.7.g1", "b.g1x"}) {
    for (const std::int32_t generation : {0, 2}) {
      const ItemId item{BatchId(batch), 5, generation};
      EXPECT_EQ(ParseItemInvocationId(ItemInvocationId(item.batch, item.index, item.generation).value), item) << batch;
    }
  }
  for (const char* none : {"b", "b.-1", "b.x", "b.5x", ".5", "b.", "b.g1"}) {
    EXPECT_EQ(ParseItemInvocationId(none), std::nullopt) << none;
  }
  EXPECT_TRUE(IsIdentifier(
      ItemInvocationId(BatchId(std::string(kMaxBatchIdBytes, 'b')), kMaxBatchItems - 1, kMaxBatchGeneration).value));
  std::set<std::string> ids;
  std::size_t count = 0;
  for (const auto* batch : {"b", "b.1", "b.1.g2", "b.g2", "b.1.1"}) {
    for (const std::int64_t index : {-1, 0, 1, 2}) {
      for (const std::int32_t generation : {0, 1, 2}) {
        ids.insert(ItemInvocationId(BatchId(batch), index, generation).value);
        ++count;
      }
    }
  }
  EXPECT_EQ(ids.size(), count);
}

// Numbers lie on Kafka: a status that comes later takes another one.
TEST(Batch, EveryStatusOfAnInvocationIsOneOfItsItem) {
  for (const StatusRow& row : kStatuses) EXPECT_EQ(RowOf(ItemStatusOf(row.status)).name, row.name);
  for (const ItemStatusRow& row : kItemStatuses) EXPECT_EQ(ParseItemStatus(row.name).value(), row.status);
  EXPECT_EQ(static_cast<int>(ItemStatus::kPending), 0);
  EXPECT_EQ(static_cast<int>(ItemStatus::kGone), 9);
  EXPECT_LE(kItemStatuses.size(), 16U) << "four bits";
  EXPECT_FALSE(ParseItemStatus("OK"));
}

TEST(Batch, CountsAreSummedAndFailuresAreThoseOfTheTolerance) {
  ItemCounts counts;
  std::int64_t each = 1;
  for (const ItemStatusRow& row : kItemStatuses) counts[row.status] = (each *= 2);
  EXPECT_EQ(counts.Total(), 2046);
  EXPECT_EQ(counts.Failed(),
            2046 - counts[ItemStatus::kPending] - counts[ItemStatus::kOk] - counts[ItemStatus::kCancelled]);
  ItemCounts twice = counts;
  twice += counts;
  EXPECT_EQ(twice[ItemStatus::kGone], 2048);
  EXPECT_EQ(twice.Total(), 2 * 2046);
}

TEST(Batch, ARedriveRunsWhatMayEndOtherwise) {
  const auto selection = StatusSelection::Default();
  for (const ItemStatusRow& row : kItemStatuses) {
    const bool runs = row.name == "error" || row.name == "timeout" || row.name == "oom" || row.name == "poison";
    EXPECT_EQ(selection.Has(row.status), runs) << row.name;
  }
  EXPECT_TRUE(StatusSelection().empty());
}

}  // namespace
}  // namespace hearth
