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
const ExecutorId kExecutor("executor-1");
const DispatcherId kDispatcher("dispatcher-1");
const LinkTrust kTrust{.secret = std::string(kMinLinkSecretBytes, 's')};

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
    callbacks.disconnected = [this](LinkId, const std::string& why) {
      ++disconnected_;
      disconnected_because_ = why;
    };
    callbacks.refused = [this](const std::string& reason) { refused_ = reason; };
    auto links = DispatcherLinks::Listen(loop_, address_, {kExecutor, kTrust}, std::move(callbacks));
    ASSERT_TRUE(links) << links.error().message;
    links_ = std::move(*links);
    Dial(loop_, resolver_, address_, [this](Result<std::unique_ptr<FrameStream>> dialled) {
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
    peer_->Send(bytes);
  }

  // Says hello and waits for the challenge.
  Handshake Greet() {
    Handshake handshake{kDispatcher, kExecutor, NewNonce(), {}};
    Say(link::DispatcherHello{link::kProtocolVersion, kDispatcher, handshake.dispatcher_nonce});
    EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return !received_.empty(); })) << refused_;
    auto message = link::DecodeLinkMessage(std::move(received_.front()));
    received_.clear();
    const auto challenge = std::get<link::Challenge>(*message);
    handshake.executor_nonce = challenge.nonce;
    EXPECT_EQ(challenge.executor, kExecutor);
    EXPECT_TRUE(Proves(kTrust, LinkRole::kExecutor, handshake, challenge.proof));
    return handshake;
  }
  // Nobody hears of the peer but by a refusal with these words.
  void ExpectRefused(const std::string& why) {
    EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return closed_; }));
    EXPECT_NE(refused_.find(why), std::string::npos) << refused_;
    EXPECT_FALSE(link_);
    EXPECT_TRUE(messages_.empty());
  }

  fs::path folder_;
  std::string address_;
  Loop loop_;
  Resolver resolver_{loop_};
  std::unique_ptr<DispatcherLinks> links_;
  std::unique_ptr<FrameStream> peer_;
  std::vector<RawFrame> received_;
  bool closed_ = false;
  std::optional<LinkId> link_;
  DispatcherId dispatcher_;
  std::vector<link::Message> messages_;
  int disconnected_ = 0;
  std::string disconnected_because_;
  std::string refused_;
};

TEST_F(LinksTest, CarriesMessagesBothWaysAfterTheHello) {
  Say(link::Proof{ProofOf(kTrust, LinkRole::kDispatcher, Greet())});
  Say(link::HeartbeatAck{3, 4});
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return !messages_.empty(); })) << refused_;
  EXPECT_EQ(dispatcher_, kDispatcher);
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
  Say(link::Proof{ProofOf(kTrust, LinkRole::kDispatcher, Greet())});
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return link_.has_value(); }));
  link::Heartbeat beat;
  beat.profiles.resize(20'000, {std::string(100, 'p')});
  links_->Send(*link_, beat);
  EXPECT_EQ(disconnected_, 0) << "not in the middle of a step";
  links_->Flush();
  EXPECT_EQ(disconnected_, 1);
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return closed_; }));
}

TEST_F(LinksTest, AFunctionThatWasNotDescribedEndsTheConnection) {
  Say(link::Proof{ProofOf(kTrust, LinkRole::kDispatcher, Greet())});
  Say(link::FunctionDescription{6, Function{}});
  link::Exec exec;
  exec.function_number = 6;
  Say(exec);
  exec.function_number = 7;
  Say(exec);
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return disconnected_ == 1; }));
  EXPECT_EQ(disconnected_because_, "function number 7 was not described in this session");
  ASSERT_EQ(messages_.size(), 1U);
  EXPECT_NE(std::get<link::Exec>(messages_.front()).function, nullptr);
}

TEST_F(LinksTest, AStrangerDescribesNoFunctions) {
  Say(link::FunctionDescription{0, Function{}});
  ExpectRefused("the first message was no hello");
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

TEST_F(LinksTest, AStrangerIsNotObeyedWhateverItSays) {
  EXPECT_EQ(fs::status(folder_ / "link.sock").permissions(), fs::perms::owner_read | fs::perms::owner_write);
  Greet();
  Say(link::Fence{{"hearth.invoke.std", 0}, INT64_MAX, 0});
  ExpectRefused("did not prove");
}

TEST_F(LinksTest, AProofOfAnotherSecretIsNone) {
  const LinkTrust other{.secret = std::string(kMinLinkSecretBytes, 'x')};
  Say(link::Proof{ProofOf(other, LinkRole::kDispatcher, Greet())});
  ExpectRefused("did not prove");
}

TEST_F(LinksTest, TheExecutorsOwnProofIsNotTheDispatchers) {
  Say(link::Proof{ProofOf(kTrust, LinkRole::kExecutor, Greet())});
  ExpectRefused("did not prove");
}

TEST_F(LinksTest, AProofHoldsForOneConnectionOnly) {
  Handshake earlier = Greet();
  earlier.executor_nonce = NewNonce();  // as it was in another connection
  Say(link::Proof{ProofOf(kTrust, LinkRole::kDispatcher, earlier)});
  ExpectRefused("did not prove");
}

TEST_F(LinksTest, ANonceOfTheWrongSizeProvesNothing) {
  Handshake handshake{kDispatcher, kExecutor, "", {}};
  Say(link::DispatcherHello{link::kProtocolVersion, kDispatcher, ""});
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return !received_.empty(); }));
  handshake.executor_nonce = std::get<link::Challenge>(*link::DecodeLinkMessage(std::move(received_.front()))).nonce;
  Say(link::Proof{ProofOf(kTrust, LinkRole::kDispatcher, handshake)});
  ExpectRefused("did not prove");
}

TEST_F(LinksTest, WhoSaysNothingKeepsNobodyOut) {
  std::vector<std::unique_ptr<FrameStream>> silent;
  for (std::size_t i = 0; i < 2 * kMaxDispatcherLinks; ++i) {
    Dial(loop_, resolver_, address_, [&](Result<std::unique_ptr<FrameStream>> dialled) {
      ASSERT_TRUE(dialled) << dialled.error().message;
      silent.push_back(std::move(*dialled));
    });
    ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&] { return silent.size() == i + 1; }));
  }
  closed_ = false;
  std::unique_ptr<FrameStream> late;
  Dial(loop_, resolver_, address_, [&](Result<std::unique_ptr<FrameStream>> dialled) { late = std::move(*dialled); });
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&] { return late != nullptr; }));
  late->Start([this](RawFrame raw) { received_.push_back(std::move(raw)); }, [](const std::string&) {});
  peer_ = std::move(late);
  Say(link::Proof{ProofOf(kTrust, LinkRole::kDispatcher, Greet())});
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return link_.has_value(); })) << refused_;
  EXPECT_LE(links_->size(), kMaxDispatcherLinks);
}

TEST_F(LinksTest, RubbishClosesTheConnection) {
  peer_->Send(std::string(64, '\xff'));
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return closed_; }));
  EXPECT_FALSE(refused_.empty());
}

}  // namespace
}  // namespace hearth::executor
