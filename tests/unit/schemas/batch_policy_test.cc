// Which topics users may name as the source of a batch.
#include "schemas/batch_policy.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

bool Allowed(const std::vector<std::string>& entries, const char* user, std::string_view topic) {
  return BatchTopicAllowed({entries, {"hearth.batches", "registry"}}, UserId(user), topic);
}

TEST(BatchPolicy, NothingIsAllowedWhereNothingIsListed) {
  EXPECT_FALSE(Allowed({}, "ada", "orders"));
}

TEST(BatchPolicy, AnEntryIsForItsUserAndItsTopic) {
  EXPECT_TRUE(Allowed({"bob:other", "ada:orders"}, "ada", "orders"));
  EXPECT_FALSE(Allowed({"ada:orders"}, "bob", "orders"));
  EXPECT_FALSE(Allowed({"ada:orders"}, "ada", "orders2"));
  EXPECT_FALSE(Allowed({"ada:orders"}, "ada", "order"));
  EXPECT_FALSE(Allowed({"ada:orders"}, "ada2", "orders"));
  EXPECT_FALSE(Allowed({"ada:orders"}, "ada", ""));
}

TEST(BatchPolicy, BothPartsMayBePrefixes) {
  EXPECT_TRUE(Allowed({"*:orders*"}, "bob", "orders.2026"));
  EXPECT_TRUE(Allowed({"team-*:orders"}, "team-a", "orders"));
  EXPECT_FALSE(Allowed({"team-*:orders"}, "ada", "orders"));
  EXPECT_FALSE(Allowed({"*:orders*"}, "bob", "invoices"));
  EXPECT_TRUE(Allowed({"*:*"}, "bob", "invoices"));
}

TEST(BatchPolicy, NoEntryReachesHearthsOwnTopicsOrKafkas) {
  for (const char* entry : {"*:*", "*:hearth.*", "ada:hearth.batches", "ada:registry", "ada:__consumer_offsets"}) {
    for (const char* topic : {"hearth.batches", "registry", "__consumer_offsets"}) {
      EXPECT_FALSE(Allowed({entry}, "ada", topic)) << entry << " " << topic;
    }
  }
}

TEST(BatchPolicy, AnEntrySaysAUserAndATopic) {
  for (const char* entry : {"ada:orders", "*:*", "*:orders*", "ada:a:b"}) EXPECT_TRUE(IsBatchTopicEntry(entry));
  for (const char* entry : {"", ":", "orders", "ada:", ":orders"}) {
    EXPECT_FALSE(IsBatchTopicEntry(entry)) << entry;
    EXPECT_FALSE(Allowed({entry}, "ada", "orders")) << entry;
  }
}

}  // namespace
}  // namespace hearth
