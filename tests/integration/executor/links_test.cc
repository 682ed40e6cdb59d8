// The executor's side of the connection to dispatchers, over a real socket.
#include "executor/links.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <optional>

#include "tests/integration/executor/run_until.h"

namespace hearth::executor {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kPatienceMs = 10'000;

class LinksTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/hearth-l-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    address_ = "unix:" + (folder_ / "link.sock").string();
    DispatcherLinks::Callbacks callbacks;
    callbacks.connected = [this](LinkId link, const DispatcherId& dispatcher) {
      link_ = link;
      dispatcher_ = dispatcher;
    };
    callbacks.message = [this](LinkId, link::Message message) { messages_.push_back(std::move(message)); };
    callbacks.disconnected = [this](LinkId, const std::string&) { ++disconnected_; };
    callbacks.refused = [this](const std::string& reason) { refused_ = reason; };
    auto links = DispatcherLinks::Listen(loop_, address_, std::move(callbacks));
    ASSERT_TRUE(links) << links.error().message;
    links_ = std::move(*links);
    Dial(loop_, address_, [this](Result<std::unique_ptr<FrameStream>> dialled) {
      ASSERT_TRUE(dialled) << dialled.error().message;
      peer_ = std::move(*dialled);
      peer_->Start([this](RawFrame raw) { received_.push_back(std::move(raw)); },
                   [this](std::string) { closed_ = true; });
    });
    ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return peer_ != nullptr; }));
  }
  void TearDown() override { fs::remove_all(folder_); }

  void Say(const link::Message& message) {
    std::string bytes;
    EXPECT_TRUE(link::AppendLinkMessage(bytes, message));
    peer_->Send(std::move(bytes));
  }

  fs::path folder_;
  std::string address_;
  Loop loop_;
  std::unique_ptr<DispatcherLinks> links_;
  std::unique_ptr<FrameStream> peer_;
  std::vector<RawFrame> received_;
  bool closed_ = false;
  std::optional<LinkId> link_;
  DispatcherId dispatcher_;
  std::vector<link::Message> messages_;
  int disconnected_ = 0;
  std::string refused_;
};

TEST_F(LinksTest, CarriesMessagesBothWaysAfterTheHello) {
  Say(link::DispatcherHello{link::kProtocolVersion, DispatcherId("dispatcher-1")});
  Say(link::HeartbeatAck{3, 4});
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return !messages_.empty(); })) << refused_;
  EXPECT_EQ(dispatcher_, DispatcherId("dispatcher-1"));
  const auto* ack = std::get_if<link::HeartbeatAck>(&messages_.front());
  ASSERT_NE(ack, nullptr);
  EXPECT_EQ(ack->sequence, 3U);

  link::Heartbeat beat;
  beat.sequence = 9;
  links_->Send(*link_, beat);
  links_->Flush();
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return !received_.empty(); }));
  const auto decoded = link::DecodeLinkMessage(std::move(received_.front()));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(std::get<link::Heartbeat>(*decoded).sequence, 9U);

  peer_.reset();
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return disconnected_ == 1; }));
}

TEST_F(LinksTest, AMessageThatNoFrameHoldsEndsTheConnectionAndNotTheProcess) {
  Say(link::DispatcherHello{link::kProtocolVersion, DispatcherId("dispatcher-1")});
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return link_.has_value(); }));
  link::Heartbeat beat;
  beat.profiles.resize(20'000, {std::string(100, 'p')});
  links_->Send(*link_, beat);
  EXPECT_EQ(disconnected_, 0) << "not in the middle of a step";
  links_->Flush();
  EXPECT_EQ(disconnected_, 1);
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return closed_; }));
}

TEST_F(LinksTest, APeerThatDoesNotGreetIsRefused) {
  Say(link::HeartbeatAck{1, 1});
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return closed_; }));
  EXPECT_NE(refused_.find("hello"), std::string::npos) << refused_;
  EXPECT_FALSE(link_);
}

TEST_F(LinksTest, ADispatcherOfAnotherProtocolIsRefused) {
  Say(link::DispatcherHello{99, DispatcherId("dispatcher-1")});
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return closed_; }));
  EXPECT_NE(refused_.find("99"), std::string::npos) << refused_;
}

TEST_F(LinksTest, RubbishClosesTheConnection) {
  peer_->Send(std::string(64, '\xff'));
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return closed_; }));
  EXPECT_FALSE(refused_.empty());
}

}  // namespace
}  // namespace hearth::executor
