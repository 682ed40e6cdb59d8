// What is wished of a batch: one JSON value for each field, with the bounds of a spec.
#include "schemas/batch_want.h"

#include <gtest/gtest.h>

#include <string>

#include "samples.h"

namespace hearth {
namespace {

void ExpectWish(WantField field, const std::string& json, const Want& wanted) {
  const auto want = DecodeWant(field, json);
  ASSERT_TRUE(want) << json << ": " << want.error().message;
  EXPECT_EQ(*want, wanted) << json;
}

void ExpectRefused(WantField field, const std::string& json, Code code, const std::string& message) {
  const auto want = DecodeWant(field, json);
  ASSERT_FALSE(want) << json;
  EXPECT_EQ(want.error().message, message);
  EXPECT_EQ(want.error().code, code) << json;
}

TEST(BatchWant, IsReadAsItWasWritten) {
  std::size_t index = 0;
  for (const Want& want : samples::Wants()) {
    EXPECT_EQ(want.index(), index++);
    ExpectWish(FieldOf(want), EncodeWant(want), want);
  }
  EXPECT_EQ(index, kWantFields.size());
  ExpectWish(WantField::kTolerance, EncodeWant(WantTolerance{}), WantTolerance{});
  WantRedrive newest;
  newest.version = kVersionNewest;
  ExpectWish(WantField::kRedrive, EncodeWant(newest), newest);
}

TEST(BatchWant, WhatAPersonTypesIsRead) {
  ExpectWish(WantField::kRun, "\"pause\"", WantRun{RunWish::kPause});
  ExpectWish(WantField::kConcurrency, " 8\n", WantConcurrency{8});
  ExpectWish(WantField::kTolerance, "\"5%\"", WantTolerance{Tolerance{5, true}});
  ExpectWish(WantField::kTolerance, "5", WantTolerance{Tolerance{5, false}});
  ExpectWish(WantField::kTolerance, "null", WantTolerance{});
  WantRedrive redrive;
  ExpectWish(WantField::kRedrive, R"({"generation": 1})", redrive);
  redrive.selection = StatusSelection();
  redrive.selection.Add(ItemStatus::kOk);
  redrive.selection.Add(ItemStatus::kGone);
  ExpectWish(WantField::kRedrive, R"({"generation": 1, "status": ["gone", "ok", "gone"], "later": 1})", redrive);
}

TEST(BatchWant, EveryFieldHasItsBounds) {
  ExpectRefused(WantField::kRun, "\"stop\"", Code::kInvalid,
                "want: field 'run' is \"stop\": it must be run, pause, cancel or cancel_now");
  ExpectRefused(WantField::kRun, "1", Code::kInvalid,
                "want: field 'run' is 1: it must be run, pause, cancel or cancel_now");
  ExpectRefused(WantField::kConcurrency, "100001", Code::kExhausted,
                "want: field 'concurrency' is 100001: it must be an integer from 0 to 100000");
  ExpectRefused(WantField::kConcurrency, "null", Code::kInvalid,
                "want: field 'concurrency' is null: it must be an integer from 0 to 100000");
  ExpectRefused(WantField::kPriority, "0", Code::kInvalid,
                "want: field 'priority' is 0: it must be an integer from 1 to 100");
  ExpectRefused(WantField::kTolerance, "\"101%\"", Code::kExhausted,
                "want: field 'tolerance' is \"101%\": it must be a number of items, or a text of 0% to 100%");
  ExpectRefused(WantField::kDeadline, "0", Code::kInvalid,
                "want: field 'deadline' is 0: it must be an integer from 1 to 253402300799999");
  ExpectRefused(WantField::kRedrive, "1", Code::kInvalid, "want: field 'redrive' is 1: it must be an object");
  ExpectRefused(WantField::kRedrive, "{}", Code::kInvalid, "want redrive: field 'generation' is absent");
  ExpectRefused(WantField::kRedrive, R"({"generation":256})", Code::kExhausted,
                "want redrive: field 'generation' is 256: it must be an integer from 1 to 255");
  ExpectRefused(WantField::kRedrive, R"({"generation":1,"status":["pending"]})", Code::kInvalid,
                "want redrive: field 'status' is \"pending\": it must be names of terminal statuses");
  ExpectRefused(WantField::kRedrive, R"({"generation":1,"status":[]})", Code::kInvalid,
                "want redrive: field 'status' is a list of 0: it must be a list of statuses");
  ExpectRefused(WantField::kPriority, "high", Code::kInvalid, "want priority: the value is not JSON");
  ExpectRefused(WantField::kPriority, std::string(kMaxBatchWantBytes + 1, '1'), Code::kExhausted,
                "want priority has 1025 bytes; the limit is 1024");
}

}  // namespace
}  // namespace hearth
