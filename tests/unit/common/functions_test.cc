// What a record of the registry means to whoever follows it.
#include "common/kafka/functions.h"

#include <gtest/gtest.h>

namespace hearth::kafka {
namespace {

class FunctionRecords : public testing::Test {
 protected:
  void Tell(std::string key, std::string value) {
    FunctionCallbacks callbacks;
    callbacks.updated = [this](const std::shared_ptr<const Function>& function) {
      told_ += "updated " + FunctionKey(function->user, function->name) + ";";
    };
    callbacks.removed = [this](const UserId& user, const FunctionName& name) {
      told_ += "removed " + user.value + " " + name.value + ";";
    };
    callbacks.unreadable = [this](const std::string& unread, const std::string& reason) {
      told_ += "unreadable " + unread + ";";
      EXPECT_NE(reason, "");
    };
    Record record;
    record.key = std::move(key);
    record.value = std::move(value);
    TellFunction(record, callbacks);
  }
  static Function Example() {
    Function function;
    function.user = UserId("alice");
    function.name = FunctionName("resize");
    function.version = 7;
    function.code = CodeHash(std::string(64, 'a'));
    function.code_bytes = 100;
    function.handler = "app.handler";
    return function;
  }

  std::string told_;
};

TEST_F(FunctionRecords, AreUpdatesRemovalsOrCannotBeRead) {
  const std::string value = EncodeFunction(Example());
  Tell("alice/resize", value);
  Tell("alice/resize", "");
  Tell("alice/resize", "rubbish");
  EXPECT_EQ(told_, "updated alice/resize;removed alice resize;unreadable alice/resize;");
}

TEST_F(FunctionRecords, AreBelievedOnlyUnderTheirOwnKey) {
  Tell("bob/resize", EncodeFunction(Example()));
  EXPECT_EQ(told_, "unreadable bob/resize;");
}

TEST_F(FunctionRecords, ThatRemoveNoFunctionSayNothing) {
  Tell("", "");
  Tell("alice", "");
  EXPECT_EQ(told_, "");
}

}  // namespace
}  // namespace hearth::kafka
