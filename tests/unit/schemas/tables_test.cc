// The tables from which names, numbers on the wire and ranks derive.
#include <gtest/gtest.h>

#include <set>

#include "schemas/request_fields.h"
#include "schemas/result.h"
#include "schemas/runtime.h"
#include "schemas/start_path.h"
#include "schemas/topics.h"

namespace hearth {
namespace {

TEST(Tables, NamesAreReadAsTheyAreWritten) {
  for (const auto& row : kStatuses) EXPECT_EQ(ParseStatus(row.name).value(), row.status);
  for (const auto& row : kStartPaths) EXPECT_EQ(ParseStartPath(row.name).value(), row.path);
  for (const auto& row : kRuntimes) EXPECT_EQ(ParseRuntime(row.name).value(), row.runtime);
}

TEST(Tables, ANameThatIsNoneIsToldWhatThereIs) {
  const auto runtime = ParseRuntime("cobol");
  ASSERT_FALSE(runtime);
  EXPECT_EQ(runtime.error().message, "runtime 'cobol': expected python3 or native");
  EXPECT_FALSE(ParseStatus("OK"));
  EXPECT_FALSE(ParseStartPath(""));
}

// Numbers travel: a path or runtime that comes later takes another one.
TEST(Tables, NumbersOnTheWireStay) {
  EXPECT_EQ(static_cast<int>(StartPath::kContainer), 1);
  EXPECT_EQ(static_cast<int>(StartPath::kCached), 2);
  EXPECT_EQ(static_cast<int>(StartPath::kMachine), 3);
  EXPECT_EQ(static_cast<int>(StartPath::kPool), 4);
  EXPECT_EQ(static_cast<int>(StartPath::kRestore), 5);
  EXPECT_EQ(static_cast<int>(StartPath::kBoot), 6);
  EXPECT_EQ(StartPathName(StartPath::kMachine), "instance");
  EXPECT_EQ(static_cast<int>(Runtime::kPython3), 0);
  EXPECT_EQ(static_cast<int>(Runtime::kNative), 1);
}

TEST(Tables, EveryStartPathHasARankOfItsOwnAndNoneIsTheLast) {
  std::set<int> ranks;
  for (const auto& row : kStartPaths) {
    EXPECT_TRUE(ranks.insert(row.rank).second) << row.name;
    EXPECT_LE(row.rank, RowOf(StartPath::kNone).rank) << row.name;
  }
}

TEST(Tables, NoReplyGoesToATopicOfHearthsOwnWhateverItIsCalled) {
  const auto names = TopicNames::Read([](const TopicRow& row) {
    return row.topic == Topic::kFunctions ? std::string("registry") : std::string(row.name);
  });
  EXPECT_EQ(names[Topic::kFunctions], "registry");
  EXPECT_EQ(names[Topic::kReply], "hearth.reply");
  const auto own = names.Own();
  EXPECT_TRUE(own.contains("registry"));
  EXPECT_FALSE(own.contains("hearth.functions"));
  EXPECT_FALSE(own.contains("hearth.reply"));
  EXPECT_EQ(own.size(), kTopics.size() - 1);
}

TEST(Tables, KeysAndNamesOfTopicsAreTheirOwn) {
  std::set<std::string_view> keys, names;
  for (const auto& row : kTopics) {
    EXPECT_TRUE(keys.insert(row.key).second) << row.key;
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_FALSE(row.content.empty()) << row.key;
  }
}

TEST(Tables, NoFormCallsTwoFieldsOfARequestTheSame) {
  std::set<std::string_view> headers, keys, event_headers, attributes;
  for (const auto& field : fields::kRequestFields) {
    EXPECT_NE(field.text == nullptr, field.number == nullptr) << field.key;
    EXPECT_TRUE(headers.insert(field.header).second) << field.header;
    EXPECT_TRUE(keys.insert(field.key).second) << field.key;
    EXPECT_TRUE(event_headers.insert(field.event_header).second) << field.event_header;
    EXPECT_TRUE(attributes.insert(field.attribute).second) << field.attribute;
  }
}

}  // namespace
}  // namespace hearth
