// Both ends of the link over real sockets: who is spoken to, and what is said before that is known.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "dispatcher/config.h"
#include "dispatcher/links.h"
#include "executor/links.h"
#include "tests/integration/executor/run_until.h"

namespace hearth {
namespace {

namespace fs = std::filesystem;
using executor::RunUntil;

constexpr std::int64_t kPatienceMs = 10'000;
const ExecutorId kExecutor("executor-1");
const LinkTrust kNone{};
const LinkTrust kSecret{.secret = std::string(kMinLinkSecretBytes, 's')};
const LinkTrust kOther{.secret = std::string(kMinLinkSecretBytes, 'o')};

class LinkTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/hearth-l-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    address_ = "unix:" + (folder_ / "link.sock").string();
  }
  void TearDown() override { fs::remove_all(folder_); }

  void StartExecutor(const LinkTrust& trust) {
    executor::DispatcherLinks::Callbacks callbacks;
    callbacks.connected = [this](executor::LinkId link, const DispatcherId&) {
      ++greeted_;
      link::ExecutorHello hello;
      hello.executor = kExecutor;
      executor_->Send(link, hello);
      executor_->Flush();
    };
    callbacks.message = [this](executor::LinkId, link::Message message) {
      if (auto* exec = std::get_if<link::Exec>(&message)) execs_.push_back(std::move(*exec));
    };
    callbacks.disconnected = [](executor::LinkId, const std::string&) {};
    callbacks.refused = [this](const std::string& why) { refused_ = why; };
    auto links = executor::DispatcherLinks::Listen(loop_, address_, {kExecutor, trust}, std::move(callbacks));
    ASSERT_TRUE(links) << links.error().message;
    executor_ = std::move(*links);
  }
  void StartDispatcher(const LinkTrust& trust) {
    dispatcher::ExecutorLinks::Callbacks callbacks;
    callbacks.connected = [this](const std::string&, const link::ExecutorHello& hello) { connected_ = hello.executor; };
    callbacks.message = [](const ExecutorId&, const link::Message&) {};
    callbacks.disconnected = [](const ExecutorId&, const std::string&) {};
    callbacks.failed = [this](const std::string&, const std::string& why) { failed_ = why; };
    callbacks.absent = [](const std::string&) {};
    dispatcher_ = std::make_unique<dispatcher::ExecutorLinks>(loop_, DispatcherId("dispatcher-1"), trust, callbacks);
    dispatcher_->Add(address_);
  }
  bool Until(const std::function<bool()>& holds) { return RunUntil(loop_, kPatienceMs, holds); }

  fs::path folder_;
  std::string address_;
  Loop loop_;
  std::unique_ptr<executor::DispatcherLinks> executor_;
  std::unique_ptr<dispatcher::ExecutorLinks> dispatcher_;
  int greeted_ = 0;
  ExecutorId connected_;
  std::string refused_;
  std::string failed_;
  std::vector<link::Exec> execs_;  // that the executor has heard
};

TEST_F(LinkTest, OpensWhereBothKnowTheSecretOrBothHaveNone) {
  for (const auto& trust : {kSecret, kNone}) {
    connected_ = {};
    StartExecutor(trust);
    StartDispatcher(trust);
    EXPECT_TRUE(Until([this] { return connected_ == kExecutor; })) << failed_ << refused_;
    dispatcher_.reset();
    executor_.reset();
  }
}

// Both ends forget with the connection what was described in it.
TEST_F(LinkTest, AFunctionIsDescribedInEachConnection) {
  Function function;
  function.handler = "main.handle";
  const auto shared = std::make_shared<const Function>(function);
  StartDispatcher(kSecret);
  for (std::size_t connection = 1; connection <= 2; ++connection) {
    connected_ = {};
    StartExecutor(kSecret);
    ASSERT_TRUE(Until([this] { return connected_ == kExecutor; })) << failed_ << refused_;
    for (int i = 0; i < 2; ++i) {
      link::Exec exec;
      exec.function = shared;
      dispatcher_->Send(kExecutor, std::move(exec));
    }
    dispatcher_->Flush();
    ASSERT_TRUE(Until([&] { return execs_.size() == 2 * connection; })) << failed_ << refused_;
    EXPECT_EQ(*execs_.back().function, function);
    executor_.reset();
  }
}

TEST_F(LinkTest, StaysShutWhereTheSecretsDiffer) {
  for (const auto& [executors, dispatchers] :
       {std::pair{kSecret, kOther}, std::pair{kSecret, kNone}, std::pair{kNone, kSecret}}) {
    failed_.clear();
    StartExecutor(executors);
    StartDispatcher(dispatchers);
    EXPECT_TRUE(Until([this] { return failed_.find("did not prove") != std::string::npos; })) << failed_;
    EXPECT_EQ(greeted_, 0);
    EXPECT_TRUE(connected_.empty());
    dispatcher_.reset();
    executor_.reset();
  }
}

// Whatever Redis names is dialled; what listens there hears nothing but the hello.
TEST_F(LinkTest, ADispatcherSaysNothingButItsHelloBeforeTheProof) {
  std::unique_ptr<FrameStream> stranger;
  std::vector<RawFrame> heard;
  auto listener = Listener::Listen(loop_, address_, [&](std::unique_ptr<FrameStream> stream) {
    stranger = std::move(stream);
    stranger->Start([&](RawFrame raw) { heard.push_back(std::move(raw)); }, [](const std::string&) {});
    std::string bytes;
    link::ExecutorHello hello;
    hello.executor = kExecutor;
    (void)link::AppendLinkMessage(bytes, link::Challenge{link::kProtocolVersion, kExecutor, NewNonce(), ""});
    (void)link::AppendLinkMessage(bytes, hello);
    stranger->Send(bytes);
  });
  ASSERT_TRUE(listener) << listener.error().message;
  StartDispatcher(kSecret);
  ASSERT_TRUE(Until([this] { return !failed_.empty(); }));
  EXPECT_NE(failed_.find("did not prove"), std::string::npos) << failed_;
  dispatcher_->Send(kExecutor, link::Cancel{});
  dispatcher_->Flush();
  ASSERT_TRUE(Until([&] { return !heard.empty(); }));
  EXPECT_EQ(heard.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<link::DispatcherHello>(*link::DecodeLinkMessage(std::move(heard.front()))));
  EXPECT_TRUE(connected_.empty());
}

TEST_F(LinkTest, AnExecutorIsTheOneThatItProvedToBe) {
  std::unique_ptr<FrameStream> liar;
  auto listener = Listener::Listen(loop_, address_, [&](std::unique_ptr<FrameStream> stream) {
    liar = std::move(stream);
    liar->Start(
        [&](RawFrame raw) {
          const auto message = link::DecodeLinkMessage(std::move(raw));
          std::string bytes;
          if (const auto* hello = std::get_if<link::DispatcherHello>(&*message)) {
            const Handshake handshake{hello->dispatcher, ExecutorId("executor-2"), hello->nonce, NewNonce()};
            (void)link::AppendLinkMessage(
                bytes, link::Challenge{link::kProtocolVersion, handshake.executor, handshake.executor_nonce,
                                       ProofOf(kSecret, LinkRole::kExecutor, handshake)});
          } else {
            link::ExecutorHello other;
            other.executor = kExecutor;
            (void)link::AppendLinkMessage(bytes, other);
          }
          liar->Send(bytes);
        },
        [](const std::string&) {});
  });
  ASSERT_TRUE(listener) << listener.error().message;
  StartDispatcher(kSecret);
  EXPECT_TRUE(Until([this] { return failed_.find("is not of the executor that proved itself") != std::string::npos; }))
      << failed_;
}

TEST_F(LinkTest, TcpNeedsASecretAndBeyondTheLoopbackASettingToo) {
  const LinkTrust open{.secret = kSecret.secret, .allow_plain = true};
  for (const std::string address : {"tcp:127.0.0.1:7000", "tcp:localhost:7000", "tcp:::1:7000"}) {
    EXPECT_FALSE(CheckLinkAddress(address, kNone)) << address;
    EXPECT_TRUE(CheckLinkAddress(address, kSecret)) << address;
  }
  // A name may stand for the loopback now, and for another host at the next lookup.
  for (const std::string address :
       {"tcp:10.0.0.7:7000", "tcp:0.0.0.0:7000", "tcp:executor-1:7000", "tcp:localhost.localdomain:7000"}) {
    EXPECT_FALSE(CheckLinkAddress(address, kNone)) << address;
    EXPECT_FALSE(CheckLinkAddress(address, LinkTrust{.allow_plain = true})) << address;
    EXPECT_FALSE(CheckLinkAddress(address, kSecret)) << address;
    EXPECT_TRUE(CheckLinkAddress(address, open)) << address;
  }
  EXPECT_FALSE(CheckLinkAddress("somewhere", open));
  EXPECT_TRUE(CheckLinkAddress("unix:/run/e.sock", kNone));

  address_ = "tcp:10.0.0.7:7000";  // as Redis names it
  StartDispatcher(kSecret);
  EXPECT_NE(failed_.find("link.allow_plain"), std::string::npos) << failed_;
  EXPECT_TRUE(dispatcher_->Unheard().empty()) << "it is not waited for either";
}

TEST_F(LinkTest, ADispatcherDoesNotStartWithAnExecutorThatItMayNotDial) {
  const std::string text =
      "id = \"d\"\nhttp = \"127.0.0.1:0\"\n[kafka]\nbootstrap = \"127.0.0.1:1\"\n[redis]\naddress = "
      "\"tcp:127.0.0.1:1\"\n"
      "[link]\nexecutors = [\"tcp:127.0.0.1:7000\"]\n";
  const auto config = dispatcher::ParseConfig(text, "dispatcher.toml");
  ASSERT_FALSE(config);
  EXPECT_NE(config.error().message.find("link.secret_file"), std::string::npos) << config.error().message;
}

TEST_F(LinkTest, TheSecretIsNobodyElsesToRead) {
  const fs::path file = folder_ / "secret";
  const auto write = [&](const std::string& text, fs::perms mode) {
    std::ofstream(file, std::ios::trunc) << text;
    fs::permissions(file, mode);
    return ReadLinkSecret(file);
  };
  const fs::perms own = fs::perms::owner_read | fs::perms::owner_write;
  EXPECT_EQ(write(kSecret.secret + "\nremark\n", own).value(), kSecret.secret);
  EXPECT_FALSE(write(kSecret.secret, own | fs::perms::group_read));
  EXPECT_FALSE(write(kSecret.secret, own | fs::perms::others_write));
  EXPECT_FALSE(write("short\n", own));
  EXPECT_FALSE(write(std::string(kMaxLinkSecretBytes + 1, 's'), own));
  EXPECT_FALSE(ReadLinkSecret(folder_));
  EXPECT_FALSE(ReadLinkSecret(folder_ / "none"));
}

}  // namespace
}  // namespace hearth
