#include "dispatcher/core/admission.h"

#include <gtest/gtest.h>

#include <string>

namespace hearth::dispatcher {
namespace {

const ReplyPolicy kPolicy{"hearth.reply", {"orders.reply", "reply.*"}};

struct Case {
  const char* name;
  std::string reply_to;
  std::int64_t expires_ms;
  bool known;
  std::int64_t recorded_ms;
  Verdict verdict;
  const char* reason;
};

TEST(Admission, NoPatternOfReplyTopicsReachesHearthsOwn) {
  const ReplyPolicy policy{"hearth.reply", {"hearth.*", "*", "hearth.usage"}, {"hearth.functions", "hearth.usage"}};
  EXPECT_TRUE(ReplyTopicAllowed(policy, "hearth.reply"));
  EXPECT_TRUE(ReplyTopicAllowed(policy, "hearth.mine"));
  EXPECT_FALSE(ReplyTopicAllowed(policy, "hearth.functions"));
  EXPECT_FALSE(ReplyTopicAllowed(policy, "hearth.usage"));
}

TEST(Admission, Table) {
  Function function;
  function.max_age_ms = 1000;
  const Case cases[] = {
      {"plain", "", 0, true, 9'500, Verdict::kAdmit, ""},
      {"an allowed topic", "orders.reply", 0, true, 9'500, Verdict::kAdmit, ""},
      {"a topic by prefix", "reply.mine", 0, true, 9'500, Verdict::kAdmit, ""},
      {"the default topic by name", "hearth.reply", 0, true, 9'500, Verdict::kAdmit, ""},
      {"a topic that is not allowed", "hearth.functions", 0, true, 9'500, Verdict::kDeadLetter,
       "reply_topic_not_allowed"},
      {"an allowed name is no prefix", "orders.reply2", 0, true, 9'500, Verdict::kDeadLetter,
       "reply_topic_not_allowed"},
      {"expires later", "", 10'001, true, 9'500, Verdict::kAdmit, ""},
      {"expires now", "", 10'000, true, 9'500, Verdict::kExpire, "expired"},
      {"expired and unknown", "", 10'000, false, 9'500, Verdict::kExpire, "expired"},
      {"unknown function", "", 0, false, 9'500, Verdict::kAwaitFunction, "unknown_function"},
      {"too old", "", 0, true, 9'000, Verdict::kExpire, "max_age"},
      {"no timestamp, no age", "", 0, true, 0, Verdict::kAdmit, ""},
  };
  for (const Case& one : cases) {
    Request request;
    request.reply_to = one.reply_to;
    request.expires_ms = one.expires_ms;
    const Answer answer = Admit(request, one.known ? &function : nullptr, one.recorded_ms, 10'000, kPolicy);
    EXPECT_EQ(answer.verdict, one.verdict) << one.name;
    EXPECT_EQ(answer.reason, one.reason) << one.name;
    EXPECT_EQ(answer.message.empty(), one.verdict == Verdict::kAdmit) << one.name;
  }
}

TEST(Admission, DeadlineIsTheEarlierOfExpiryAndAge) {
  Request request;
  Function function;
  function.max_age_ms = 1000;
  EXPECT_EQ(DeadlineMs(request, nullptr, 500), 0);
  EXPECT_EQ(DeadlineMs(request, &function, 500), 1500);
  request.expires_ms = 1200;
  EXPECT_EQ(DeadlineMs(request, &function, 500), 1200);
  request.expires_ms = 9000;
  EXPECT_EQ(DeadlineMs(request, &function, 500), 1500);
  EXPECT_EQ(DeadlineMs(request, nullptr, 500), 9000);
}

TEST(Admission, AnUnreadableRecordIsAnsweredOnlyWhereItSaysWhoAsked) {
  const Refusal nobody;
  Refusal somebody;
  somebody.answerable = true;
  Refusal elsewhere = somebody;
  elsewhere.request.reply_to = "not.allowed";
  const Error too_large{Code::kExhausted, "payload above kMaxPayloadBytes"};
  EXPECT_EQ(AdmitUnreadable({Code::kInvalid, "no such time-out"}, somebody, kPolicy).verdict,
            Verdict::kRejectUnreadable);
  EXPECT_EQ(AdmitUnreadable(too_large, somebody, kPolicy).verdict, Verdict::kRejectUnreadable);
  EXPECT_EQ(AdmitUnreadable(too_large, nobody, kPolicy).verdict, Verdict::kDeadLetter);
  EXPECT_EQ(AdmitUnreadable(too_large, elsewhere, kPolicy).verdict, Verdict::kDeadLetter);
}

TEST(Admission, Caps) {
  EXPECT_EQ(TakeTurn({63, 64, 5, 0}), Turn::kRun);
  EXPECT_EQ(TakeTurn({64, 64, 5, 0}), Turn::kUserAtCap);
  EXPECT_EQ(TakeTurn({63, 64, 5, 5}), Turn::kFunctionAtCap);
  EXPECT_EQ(TakeTurn({63, 64, 4, 5}), Turn::kRun);
  EXPECT_EQ(TakeTurn({64, 64, 5, 5}), Turn::kUserAtCap);
}

}  // namespace
}  // namespace hearth::dispatcher
