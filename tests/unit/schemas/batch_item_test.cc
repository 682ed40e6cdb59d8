// Items of batches and the marks of their results, as headers of records.
#include "schemas/batch_item.h"

#include <gtest/gtest.h>

#include <string>

#include "samples.h"
#include "schemas/limits.h"
#include "schemas/result.h"

namespace hearth {
namespace {

Record ItemRecord() {
  const auto sample = samples::SampleItem();
  return samples::Received(EncodeItem(sample.place, sample.item, "hearth.batch.items"));
}

void ExpectRefused(const Record& record, Code code, const std::string& message) {
  const auto item = DecodeItem(record);
  ASSERT_FALSE(item) << message;
  EXPECT_EQ(item.error().message, message);
  EXPECT_EQ(item.error().code, code) << message;
}

Record With(const char* name, const std::string& value) {
  Record record = ItemRecord();
  record.headers.push_back({name, value});  // the last one counts
  return record;
}

TEST(BatchItem, IsReadAsItWasWritten) {
  const auto sample = samples::SampleItem();
  EXPECT_EQ(DecodeItem(ItemRecord()).value(), sample);
  EXPECT_EQ(ItemRecord().key, "alice") << "the partition is that of the user";
  const PlacedItem bare{{{UserId("u"), BatchId("b")}, 0}, {}};
  const OutRecord sent = EncodeItem(bare.place, bare.item, "t");
  EXPECT_EQ(samples::Printed(sent), "hearth-batch: u/b\nhearth-item: 0\n\n");
  EXPECT_EQ(DecodeItem(samples::Received(sent)).value(), bare);
}

TEST(BatchItem, ARecordOfSomethingElseIsNoItem) {
  Record record = ItemRecord();
  std::erase_if(record.headers, [](const Header& header) { return header.name == "hearth-batch"; });
  ExpectRefused(record, Code::kNotFound, "no header hearth-batch: no item of a batch");
  Record null = ItemRecord();
  null.headers.push_back({"hearth-batch", "", true});
  ExpectRefused(null, Code::kNotFound, "no header hearth-batch: no item of a batch");
}

TEST(BatchItem, EveryHeaderHasItsBounds) {
  ExpectRefused(With("hearth-batch", "alice"), Code::kInvalid,
                "header hearth-batch: batch key 'alice': it must be USER/BATCH");
  ExpectRefused(With("hearth-item", "10000000"), Code::kExhausted,
                "header hearth-item is '10000000': it must be an integer from 0 to 9999999");
  ExpectRefused(With("hearth-item", "99999999999999999999"), Code::kExhausted,
                "header hearth-item is '99999999999999999999': it must be an integer from 0 to 9999999");
  for (const auto* text : {"-1", "", "7x", "+7", " 7", "0x7"}) {
    ExpectRefused(With("hearth-item", text), Code::kInvalid,
                  "header hearth-item is '" + std::string(text) + "': it must be an integer from 0 to 9999999");
  }
  ExpectRefused(With("hearth-timeout-ms", "900001"), Code::kExhausted,
                "header hearth-timeout-ms is '900001': it must be an integer from 0 to 900000");
  ExpectRefused(With("hearth-item-id", std::string(129, 'i')), Code::kExhausted,
                "the item's id has 129 bytes; the limit is 128");
  ExpectRefused(With("hearth-item-id", "a\nb"), Code::kInvalid,
                "the item's id 'a\\x0ab' must be UTF-8 without control characters");
  ExpectRefused(With("hearth-item-id", "\xff"), Code::kInvalid,
                "the item's id '\\xff' must be UTF-8 without control characters");
  ExpectRefused(With("hearth-order-key", std::string(129, 'k')), Code::kExhausted,
                "field 'order_key' has more than 128 bytes");
  ExpectRefused(With("content-type", "text\nplain"), Code::kInvalid,
                "content_type must be one line of at most 256 bytes");
  Record large = ItemRecord();
  large.value = std::string(kMaxPayloadBytes, 'x');
  EXPECT_TRUE(DecodeItem(large));
  large.value += 'x';
  ExpectRefused(large, Code::kExhausted, "the item has 1048577 bytes; the limit is 1048576");
  Record no_index = ItemRecord();
  std::erase_if(no_index.headers, [](const Header& header) { return header.name == "hearth-item"; });
  ExpectRefused(no_index, Code::kInvalid, "header hearth-item is absent");
}

TEST(BatchItem, WhatAClientMeansToSendIsCheckedAlike) {
  BatchItem item;
  EXPECT_TRUE(ValidateBatchItem(item));
  item.timeout_ms = kMaxTimeoutMs + 1;
  EXPECT_EQ(ValidateBatchItem(item).error().message, "timeout_ms is 900001: it must be from 0 to 900000");
  EXPECT_EQ(ValidateBatchItem(item).error().code, Code::kExhausted);
  item.timeout_ms = -1;
  EXPECT_EQ(ValidateBatchItem(item).error().code, Code::kInvalid);
}

TEST(BatchItem, ACountedItemKnowsItsIndex) {
  EXPECT_EQ(CountedItem(7).payload, R"({"index":7})");
  EXPECT_EQ(CountedItem(7).content_type, "application/json");
}

TEST(BatchResult, AReplyIsMarkedAndStaysAReply) {
  InvocationResult result = samples::SampleResult();
  OutRecord reply = EncodeReply(result, RequestForm::kHeaders, "hearth.batch.results");
  const ResultMark mark = samples::SampleMark();
  MarkResult(mark, reply);
  const Record received = samples::Received(reply);
  EXPECT_EQ(DecodeResultMark(received).value(), mark);
  EXPECT_EQ(DecodeReply(received).value(), result);
  const ResultMark bare{{{UserId("u"), BatchId("b")}, kOnCompleteIndex}, "", 0};
  OutRecord other{"t", "", "", {}};
  MarkResult(bare, other);
  EXPECT_EQ(samples::Printed(other), "hearth-batch: u/b\nhearth-item: -1\nhearth-generation: 0\n\n");
  EXPECT_EQ(DecodeResultMark(samples::Received(other)).value(), bare);
}

TEST(BatchResult, WhatIsNoneIsRefused) {
  EXPECT_EQ(DecodeResultMark(samples::Received(EncodeReply(samples::SampleResult(), RequestForm::kHeaders, "t")))
                .error()
                .code,
            Code::kNotFound);
  EXPECT_EQ(DecodeResultMark(ItemRecord()).error().message, "header hearth-generation is absent");
  EXPECT_EQ(DecodeResultMark(With("hearth-generation", "256")).error().message,
            "header hearth-generation is '256': it must be an integer from 0 to 255");
  EXPECT_EQ(DecodeItem(With("hearth-item", "-1")).error().code, Code::kInvalid) << "only a result has no item";
}

}  // namespace
}  // namespace hearth
