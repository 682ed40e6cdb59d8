// Specs of batches: what a person types is read, what is written is read the same, and every bound is told by name.
#include "schemas/batch_spec.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "common/base/sha256.h"
#include "samples.h"
#include "schemas/batch_digest.h"

namespace hearth {
namespace {

using nlohmann::json;

json Inline() {
  return {{"fn", "resize"}, {"inline", {1, 2}}};
}

json Ranges(std::int64_t total, const json& ranges) {
  return {{"fn", "resize"}, {"total", total}, {"ranges", ranges}};
}

void ExpectRefused(const json& spec, Code code, const std::string& message) {
  const auto decoded = DecodeBatchSpec(spec.dump());
  ASSERT_FALSE(decoded) << message;
  EXPECT_EQ(decoded.error().message, message);
  EXPECT_EQ(decoded.error().code, code) << message;
}

TEST(BatchSpec, WhatAPersonTypesIsRead) {
  const auto spec = DecodeBatchSpec(R"({"fn": "resize", "inline": [{"b": 1, "a": "é"}, 7, null, "x"]})");
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_EQ(spec->function, FunctionName("resize"));
  EXPECT_EQ(spec->version, kVersionOfOwner);
  EXPECT_EQ(spec->total, 4);
  EXPECT_EQ(spec->priority, kDefaultBatchPriority);
  EXPECT_EQ(spec->concurrency, kNoBatchConcurrency);
  EXPECT_EQ(spec->tolerance, std::nullopt);
  EXPECT_EQ(spec->deadline_ms, 0);
  EXPECT_EQ(std::get<InlineItems>(spec->items).payloads,
            (std::vector<std::string>{R"({"a":"é","b":1})", "7", "null", "\"x\""}));
  EXPECT_EQ(spec->digest, DigestOf(*spec));
}

// The line of kcat in schemas/README.md.
TEST(BatchSpec, TheLineOfThePageForProducersIsABatch) {
  std::ifstream page(std::string(HEARTH_GOLDEN) + "/../../../../schemas/README.md");
  for (std::string line; std::getline(page, line);) {
    const auto begin = line.find("echo '");
    const auto bar = line.find('|', begin);
    if (begin == std::string::npos || line.find("/spec|") != bar - 5) continue;
    const auto key = line.substr(begin + 6, bar - begin - 6);
    EXPECT_EQ(ParseBatchKey(key).value(), (BatchKey{{UserId("alice"), BatchId("nightly-1")}, {}, {}}));
    const auto spec = DecodeBatchSpec(line.substr(bar + 1, line.find('\'', bar) - bar - 1));
    ASSERT_TRUE(spec) << spec.error().message;
    EXPECT_EQ(spec->total, 2);
    return;
  }
  FAIL() << "the line is not there";
}

TEST(BatchSpec, IsReadAsItWasWritten) {
  for (const BatchSpec& spec : samples::BatchSpecs()) {
    const auto read = DecodeBatchSpec(EncodeBatchSpec(spec));
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, spec);
  }
}

TEST(BatchSpec, FieldsOfALaterHearthAreIgnoredAndALaterVersionIsNot) {
  json spec = Inline();
  spec["nested"] = {{"later", true}};
  spec["priority"] = nullptr;
  EXPECT_TRUE(DecodeBatchSpec(spec.dump())) << "null is absent";
  spec["v"] = 2;
  ExpectRefused(spec, Code::kExhausted, "spec: field 'v' is 2: it must be an integer from 1 to 1");
}

TEST(BatchSpec, ItemsAreToldInOneWay) {
  json spec = Inline();
  spec["count"] = 5;
  ExpectRefused(spec, Code::kInvalid, "spec: field 'items' is told by exactly one of ranges, inline and count");
  ExpectRefused({{"fn", "f"}}, Code::kInvalid,
                "spec: field 'items' is told by exactly one of ranges, inline and count");
  spec = {{"fn", "f"}, {"count", 5}, {"total", 6}};
  ExpectRefused(spec, Code::kExhausted, "spec: field 'total' is 6: it must be an integer from 5 to 5");
  ExpectRefused({{"fn", "f"}, {"inline", json::array()}}, Code::kInvalid,
                "spec: field 'inline' is a list of 0: it must be a list of at least one item");
}

TEST(BatchSpec, EveryFieldHasItsBounds) {
  const auto with = [](const char* name, json value) {
    json spec = Inline();
    spec[name] = std::move(value);
    return spec;
  };
  ExpectRefused({{"inline", {1}}}, Code::kInvalid, "spec: field 'fn' is absent");
  ExpectRefused(with("fn", "re size"), Code::kInvalid,
                "spec: field 'fn' is \"re size\": it must be 1 to 128 of [A-Za-z0-9._-]");
  ExpectRefused(with("version", "latest"), Code::kInvalid,
                "spec: field 'version' is \"latest\": it must be a positive number or \"newest\"");
  ExpectRefused(with("version", 0), Code::kInvalid,
                "spec: field 'version' is 0: it must be an integer from 1 to 9223372036854775807");
  ExpectRefused(with("priority", 101), Code::kExhausted,
                "spec: field 'priority' is 101: it must be an integer from 1 to 100");
  ExpectRefused(with("priority", 0), Code::kInvalid,
                "spec: field 'priority' is 0: it must be an integer from 1 to 100");
  ExpectRefused(with("priority", 1.5), Code::kInvalid,
                "spec: field 'priority' is 1.5: it must be an integer from 1 to 100");
  ExpectRefused(with("concurrency", 100'001), Code::kExhausted,
                "spec: field 'concurrency' is 100001: it must be an integer from 0 to 100000");
  ExpectRefused(with("concurrency", UINT64_MAX), Code::kExhausted,
                "spec: field 'concurrency' is 18446744073709551615: it must be an integer from 0 to 100000");
  ExpectRefused(with("tolerance", "101%"), Code::kExhausted,
                "spec: field 'tolerance' is \"101%\": it must be a number of items, or a text of 0% to 100%");
  ExpectRefused(with("tolerance", -1), Code::kInvalid,
                "spec: field 'tolerance' is -1: it must be an integer from 0 to 10000000");
  ExpectRefused(with("deadline", "6h"), Code::kInvalid,
                "spec: field 'deadline' is \"6h\": it must be an integer from 0 to 253402300799999");
  ExpectRefused(with("on_complete", "topic:"), Code::kInvalid,
                "spec: field 'on_complete' is \"topic:\": it must be a function, or topic:NAME");
  ExpectRefused(with("on_complete", json::array({1})), Code::kInvalid,
                "spec: field 'on_complete' is a list of 1: it must be a function, or topic:NAME");
  ExpectRefused(with("digest", std::string(64, 'X')), Code::kInvalid,
                "spec: field 'digest' is " + std::string(64, 'X') + ": it must be a SHA-256 in lower-case hex");
  ExpectRefused(with("digest", std::string(65, 'a')), Code::kExhausted,
                "spec: field 'digest' has 65 bytes; the limit is 64");
}

TEST(BatchSpec, LabelsHaveTheirBounds) {
  const auto with = [](json labels) {
    json spec = Inline();
    spec["labels"] = std::move(labels);
    return spec;
  };
  json labels;
  for (std::size_t i = 0; i < kMaxLabels; ++i) {
    labels[std::to_string(i) + std::string(kMaxLabelNameBytes - 2, 'n')] = std::string(kMaxLabelValueBytes, 'v');
  }
  EXPECT_TRUE(DecodeBatchSpec(with(labels).dump()));
  labels["more"] = "";
  ExpectRefused(with(labels), Code::kExhausted, "spec: field 'labels' has 17 labels; the limit is 16");
  ExpectRefused(with({{std::string(65, 'n'), ""}}), Code::kExhausted,
                "spec: field 'labels' has 65 bytes in a name; the limit is 64");
  ExpectRefused(with({{"k", std::string(257, 'v')}}), Code::kExhausted,
                "spec: field 'labels.k' has 257 bytes; the limit is 256");
  ExpectRefused(with({{"k", 1}}), Code::kInvalid, "spec: field 'labels.k' is 1: it must be text");
  ExpectRefused(with({{"", "v"}}), Code::kInvalid, "spec: field 'labels' has a label without a name");
  ExpectRefused(with(json::array()), Code::kInvalid, "spec: field 'labels' is a list of 0: it must be an object");
}

TEST(BatchSpec, RangesAreInBoundsAndApart) {
  EXPECT_TRUE(DecodeBatchSpec(Ranges(3, {{0, 5, 5}, {0, 6, 6}, {1, 5, 5}}).dump()));
  EXPECT_EQ(std::get<StoredItems>(DecodeBatchSpec(Ranges(2, {{7, 9, 10}, {7, 1, 2}}).dump())->items).ranges.front(),
            (OffsetRange{7, 9, 10}))
      << "the order is that of the items";
  ExpectRefused(Ranges(2, {{0, 5, 8}, {1, 0, 0}, {0, 8, 9}}), Code::kInvalid,
                "spec: field 'ranges' has offset 8 of partition 0 twice");
  ExpectRefused(Ranges(1, {{0, 5, 4}}), Code::kInvalid,
                "spec: field 'ranges' is 4: it must be an integer from 5 to 9223372036854775806");
  ExpectRefused(Ranges(1, {{-1, 5, 5}}), Code::kInvalid,
                "spec: field 'ranges' is -1: it must be an integer from 0 to 2147483647");
  ExpectRefused(Ranges(1, {{0, 5}}), Code::kInvalid,
                "spec: field 'ranges' is a list of 2: it must be a list of [partition, first, last]");
  ExpectRefused(Ranges(1, json::array()), Code::kInvalid,
                "spec: field 'ranges' is a list of 0: it must be a list of [partition, first, last]");
  ExpectRefused(Ranges(7, {{0, 5, 10}}), Code::kExhausted,
                "spec: field 'total' is 7: it must be an integer from 1 to 6");
  ExpectRefused(Ranges(kMaxBatchItems + 1, {{0, 0, INT64_MAX - 1}, {1, 0, INT64_MAX - 1}}), Code::kExhausted,
                "spec: field 'total' is 10000001: it must be an integer from 1 to 10000000");
  json no_total = Ranges(1, {{0, 5, 5}});
  no_total.erase("total");
  ExpectRefused(no_total, Code::kInvalid, "spec: field 'total' is absent: ranges do not tell it");
  json own = Ranges(1, {{0, 5, 5}});
  own["topic"] = "orders";
  EXPECT_EQ(std::get<StoredItems>(DecodeBatchSpec(own.dump())->items).topic, "orders");

  json many = json::array();
  for (std::size_t i = 0; i < kMaxBatchRanges; ++i) many.push_back({0, 2 * i, 2 * i});
  EXPECT_TRUE(DecodeBatchSpec(Ranges(1, many).dump()));
  many.push_back({1, 0, 0});
  ExpectRefused(Ranges(1, many), Code::kExhausted, "spec: field 'ranges' has 4097 ranges; the limit is 4096");
}

TEST(BatchSpec, SizesHaveTheirBounds) {
  const auto of = [](std::size_t bytes) {
    return json{{"fn", "f"}, {"inline", {std::string(bytes - std::string_view(R"([""])").size(), 'x')}}};
  };
  EXPECT_TRUE(DecodeBatchSpec(of(kMaxInlineBytes).dump()));
  ExpectRefused(of(kMaxInlineBytes + 1), Code::kExhausted,
                "spec: field 'inline' has 262145 bytes; the limit is 262144");
  ExpectRefused(of(kMaxBatchSpecBytes), Code::kExhausted,
                "spec has " + std::to_string(of(kMaxBatchSpecBytes).dump().size()) + " bytes; the limit is 524288");
  ExpectRefused({{"fn", "f"}, {"count", kMaxBatchItems + 1}}, Code::kExhausted,
                "spec: field 'count' is 10000001: it must be an integer from 1 to 10000000");
  EXPECT_EQ(DecodeBatchSpec("[1]").error().message, "spec: the value must be a JSON object");
  EXPECT_EQ(DecodeBatchSpec("{").error().message, "spec: the value is not JSON");
}

// The largest of everything, so that the owner can write its own copy of whatever it has read.
TEST(BatchSpec, TheLargestFitsItsRecord) {
  BatchSpec spec = samples::BatchSpecs()[0];
  auto& stored = std::get<StoredItems>(spec.items);
  stored.topic = std::string(kMaxIdentifierBytes, 't');
  stored.ranges.clear();
  for (std::size_t i = 0; i < kMaxBatchRanges; ++i) {
    const auto offset = INT64_MAX - 1 - static_cast<std::int64_t>(i);
    stored.ranges.push_back({INT32_MAX, offset, offset});
  }
  for (std::size_t i = 0; i < kMaxLabels - 2; ++i) {
    spec.labels[std::to_string(i) + std::string(kMaxLabelNameBytes - 2, '\1')] = std::string(kMaxLabelValueBytes, '\1');
  }
  EXPECT_LE(EncodeBatchSpec(spec).size(), kMaxBatchSpecBytes);
  const auto read = DecodeBatchSpec(EncodeBatchSpec(spec));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, spec);
}

TEST(BatchSpec, ADeadlineLiesAheadAndNoLaterThanItemsAreKept) {
  constexpr std::int64_t kNow = 1'700'000'000'000;
  EXPECT_TRUE(CheckBatchDeadline(0, kNow));
  EXPECT_TRUE(CheckBatchDeadline(kNow + 1, kNow));
  EXPECT_TRUE(CheckBatchDeadline(kNow + kBatchRetentionMs, kNow));
  EXPECT_EQ(CheckBatchDeadline(kNow, kNow).error().code, Code::kInvalid);
  EXPECT_EQ(CheckBatchDeadline(kNow, kNow).error().message,
            "field 'deadline' is 1700000000000: it must be later than now, 1700000000000");
  EXPECT_EQ(CheckBatchDeadline(kNow + kBatchRetentionMs + 1, kNow).error().code, Code::kExhausted);
}

TEST(BatchTolerance, IsReadAsItWasWritten) {
  for (const auto* text : {"0", "5", "10000000", "0%", "5%", "100%"}) {
    EXPECT_EQ(FormatTolerance(ParseTolerance(text).value()), text);
  }
  for (const auto* text : {"", "%", "-1", "-1%", "1.5%", "5 %", "5%%", "+5", " 5", "five"}) {
    EXPECT_EQ(ParseTolerance(text).error().code, Code::kInvalid) << text;
  }
  for (const auto* text : {"10000001", "101%", "99999999999999999999"}) {
    EXPECT_EQ(ParseTolerance(text).error().code, Code::kExhausted) << text;
  }
}

TEST(BatchTolerance, IsPassedByOneMore) {
  EXPECT_FALSE((Tolerance{2, false}.IsPassed(2, 100)));
  EXPECT_TRUE((Tolerance{2, false}.IsPassed(3, 100)));
  EXPECT_FALSE((Tolerance{1, true}.IsPassed(3, 300)));
  EXPECT_TRUE((Tolerance{1, true}.IsPassed(4, 300)));
  EXPECT_TRUE((Tolerance{0, true}.IsPassed(1, kMaxBatchItems)));
  EXPECT_FALSE((Tolerance{100, true}.IsPassed(7, 7)));
}

TEST(BatchDigest, IsWhatItsHeaderSays) {
  const auto specs = samples::BatchSpecs();
  EXPECT_EQ(DigestOf(specs[2]), Sha256Hex("14:hearth-batch-1,6:resize,5:count,4:1000,"));
  EXPECT_EQ(DigestOf(specs[1]),
            Sha256Hex("14:hearth-batch-1,6:resize,5:items,7:{\"a\":1},16:application/json,0:,0:,1:0,"
                      "4:null,16:application/json,0:,0:,1:0,"));
  EXPECT_EQ(DigestOf(specs[0]),
            Sha256Hex("14:hearth-batch-1,6:resize,6:ranges,0:,3:150,11:3 1000 1099,11:3 1200 1249,"));
}

TEST(BatchDigest, NoTwoBatchesShareOneAndOptionsAreNoPartOfIt) {
  const BatchItem item{"p", "t", "i", "o", 1};
  const auto of = [](const std::vector<BatchItem>& items) {
    ItemsDigest digest(FunctionName("f"));
    for (const auto& one : items) digest.Add(one);
    return digest.FinishHex();
  };
  std::set<std::string> digests = {of({}), of({item}), of({item, item})};
  digests.insert(of({{"pt", "", "i", "o", 1}}));
  digests.insert(of({{"p", "t", "io", "", 1}}));
  digests.insert(of({{"p", "t", "i", "o", 2}}));
  digests.insert(of({{"p", "t", "", "io", 1}}));
  EXPECT_EQ(digests.size(), 7U);

  BatchSpec spec = samples::BatchSpecs()[1];
  const std::string digest = DigestOf(spec);
  spec.concurrency = 99;
  spec.version = 5;
  spec.labels["a"] = "b";
  EXPECT_EQ(DigestOf(spec), digest);
  spec.function = FunctionName("other");
  EXPECT_NE(DigestOf(spec), digest);
}

TEST(BatchDigest, ASpecThatHoldsItsItemsCannotNameAnother) {
  json spec = Inline();
  spec["digest"] = DecodeBatchSpec(spec.dump())->digest;
  EXPECT_TRUE(DecodeBatchSpec(spec.dump()));
  spec["inline"].push_back(3);
  const auto other = DecodeBatchSpec(spec.dump());
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message.find("it must be that of the items"), std::string::npos) << other.error().message;
}

}  // namespace
}  // namespace hearth
