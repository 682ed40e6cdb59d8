// The executor's end of a guest link against a guest that does not behave: over a real Unix socket, with a peer that
// writes what it likes.
#include "executor/guest_link.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <thread>
#include <vector>

#include "schemas/limits.h"
#include "tests/integration/executor/run_until.h"

namespace hearth::executor {
namespace {

using testing::HasSubstr;

namespace fs = std::filesystem;

constexpr std::int64_t kPatienceMs = 60'000;

std::string Bytes(guest::Message message, std::uint32_t stream = 0) {
  std::string bytes;
  EXPECT_TRUE(guest::AppendGuestFrame(bytes, {stream, std::move(message)}));
  return bytes;
}

std::string Greeting() {
  guest::Hello hello;
  hello.boot_nonce = std::string(32, '0');
  return Bytes(hello);
}

class GuestLinkTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/hearth-g-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override {
    link_.reset();
    if (peer_ >= 0) close(peer_);
    fs::remove_all(folder_);
  }

  void Listen(std::int64_t hello_within_ms = kPatienceMs) {
    GuestLink::Callbacks callbacks;
    callbacks.hello = [this](const guest::Hello&) { ++hellos_; };
    callbacks.frame = [this](const guest::Frame&) { ++frames_; };
    callbacks.lost = [this](std::string reason) {
      ++losses_;
      lost_ = std::move(reason);
    };
    auto link = GuestLink::Listen(loop_, Path(), hello_within_ms, std::move(callbacks));
    ASSERT_TRUE(link) << link.error().message;
    link_ = std::move(*link);
  }
  std::string Path() const { return (folder_ / "agent.sock").string(); }
  // A new connection; -1 where it is refused.
  int Connect() const { return ConnectTo(Path()); }
  static int ConnectTo(const std::string& path) {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      close(fd);
      return -1;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
  }
  void Open(std::int64_t hello_within_ms = kPatienceMs) {
    Listen(hello_within_ms);
    peer_ = Connect();
    ASSERT_GE(peer_, 0);
  }
  // Turns the loop until all is written, or the link is lost.
  void Say(std::string_view bytes, std::size_t step = SIZE_MAX) {
    while (!bytes.empty() && losses_ == 0) {
      const ssize_t n = send(peer_, bytes.data(), std::min(step, bytes.size()), MSG_NOSIGNAL);
      if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
      uv_run(loop_.raw(), UV_RUN_NOWAIT);
    }
  }
  bool Lost() {
    return RunUntil(loop_, kPatienceMs, [this] { return losses_ > 0; });
  }

  fs::path folder_;
  Loop loop_;
  std::unique_ptr<GuestLink> link_;
  int peer_ = -1;
  int hellos_ = 0, frames_ = 0, losses_ = 0;
  std::string lost_;
};

TEST_F(GuestLinkTest, FramesMayComeOneByteAtATime) {
  Open();
  Say(Greeting() + Bytes(guest::Pong{1}) + Bytes(guest::Pong{2}), 1);
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return frames_ == 2; }));
  EXPECT_EQ(hellos_, 1);
  EXPECT_EQ(losses_, 0) << lost_;
}

TEST_F(GuestLinkTest, AFrameThatNeverEndsIsCutWhereNothingCameBeforeIt) {
  Open(200);
  std::string head = Greeting().substr(0, kFrameHeadBytes);
  Say(head);  // and not a byte more
  ASSERT_TRUE(Lost());
  EXPECT_THAT(lost_, HasSubstr("no HELLO"));
}

TEST_F(GuestLinkTest, BytesThatTrickleDoNotPutTheDeadlineOff) {
  Open(300);
  const std::string greeting = Greeting();
  std::size_t at = 0;
  Timer drip(loop_, [] {});
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&] {
    if (at + 1 < greeting.size())
      at += static_cast<std::size_t>(send(peer_, greeting.data() + at, 1, MSG_NOSIGNAL) == 1);
    drip.StartOnce(5);
    return losses_ > 0;
  }));
  EXPECT_THAT(lost_, HasSubstr("no HELLO"));
}

TEST_F(GuestLinkTest, AFrameBeyondTheLimitEndsTheLinkAtItsHead) {
  Open();
  Say(Greeting());
  std::string head(kFrameHeadBytes, '\0');
  const std::size_t length = kMaxFrameBytes + 1;
  for (int i = 0; i < 4; ++i) head[static_cast<std::size_t>(i)] = static_cast<char>(length >> (8 * i));
  Say(head);
  ASSERT_TRUE(Lost());
  EXPECT_THAT(lost_, HasSubstr("limit"));
  EXPECT_EQ(frames_, 0);
}

TEST_F(GuestLinkTest, TooManyFramesInASecondEndTheLink) {
  Open();
  Say(Greeting());
  std::string burst;
  for (int i = 0; i < 1000; ++i) burst += Bytes(guest::Pong{1});
  for (int i = 0; i < 1000 && losses_ == 0; ++i) Say(burst);
  ASSERT_TRUE(Lost());
  EXPECT_THAT(lost_, HasSubstr("floods"));
  EXPECT_EQ(losses_, 1);
}

std::int64_t ThreadCpuMicros() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::int64_t{used.tv_sec} * 1'000'000 + used.tv_nsec / 1000;
}

// An Ended with a field that nobody knows, of as many elements as a frame holds.
std::string ExpensiveFrame() {
  constexpr std::size_t kArrays = 5, kElements = 200'000;
  std::string payload = {'\x81', '\xa1', 'x', static_cast<char>(0x90 + kArrays)};
  for (std::size_t i = 0; i < kArrays; ++i) {
    payload += '\xdd';
    for (int shift = 24; shift >= 0; shift -= 8) payload += static_cast<char>(kElements >> shift & 0xff);
    payload.append(kElements, '\xc0');
  }
  std::string frame;
  EXPECT_TRUE(AppendFrame(frame, 10, 1, payload));
  return frame;
}

TEST(MeterTest, WhatIsSpentCountsForOneSecond) {
  Meter meter({100, 50});
  EXPECT_TRUE(meter.Spend(5000, 100, 0));
  EXPECT_TRUE(meter.Spend(5999, 0, 50));
  EXPECT_FALSE(meter.Spend(5999, 1, 0));
  EXPECT_TRUE(meter.Spend(6000, 1, 0)) << "another second";
  EXPECT_FALSE(meter.Spend(6500, 0, 51));
}

// A neighbour's frames wait for what the flood costs the loop, and for nothing else: processor time is what is
// measured, so that a loaded host changes nothing.
TEST_F(GuestLinkTest, AFloodOfAnyKindCostsTheLoopNoMoreThanItsBudget) {
  constexpr std::int64_t kSlackMicros = 200'000;  // one frame more, and the reading itself
  constexpr std::uint64_t kWatchMs = 2500;
  guest::Ended log;
  log.log_tail = std::string(kMaxLogTailBytes, 'l');
  std::string pongs, empty;
  for (int i = 0; i < 1000; ++i) pongs += Bytes(guest::Pong{1});
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(AppendFrame(empty, 14, 0, {}));
  const std::pair<const char*, std::string> floods[] = {
      {"expensive frames", ExpensiveFrame()}, {"pongs", pongs}, {"logs", Bytes(log, 1)}, {"empty frames", empty}};
  for (const auto& [name, flood] : floods) {
    SCOPED_TRACE(name);
    link_.reset();
    losses_ = 0;
    if (peer_ >= 0) close(peer_);
    Open();
    Say(Greeting());
    const std::uint64_t begin_ms = uv_now(loop_.raw());
    std::uint64_t second = 0;
    std::int64_t spent_us = 0;
    std::string_view left;
    while (losses_ == 0 && uv_now(loop_.raw()) - begin_ms < kWatchMs) {
      if (left.empty()) left = flood;
      const ssize_t n = send(peer_, left.data(), left.size(), MSG_NOSIGNAL);
      if (n > 0) left.remove_prefix(static_cast<std::size_t>(n));
      const std::int64_t before_us = ThreadCpuMicros();
      uv_run(loop_.raw(), UV_RUN_NOWAIT);
      if (std::exchange(second, (uv_now(loop_.raw()) - begin_ms) / 1000) != second) spent_us = 0;
      spent_us += ThreadCpuMicros() - before_us;
      ASSERT_LE(spent_us, kGuestBudget.micros_per_second + kSlackMicros) << "in one second";
    }
  }
}

TEST_F(GuestLinkTest, AGreetingBeyondItsLimitsIsNone) {
  guest::Hello hello;
  hello.runtimes.resize(kMaxGuestRuntimes + 1);
  Open();
  Say(Bytes(hello));
  ASSERT_TRUE(Lost());
  EXPECT_EQ(hellos_, 0);
}

TEST_F(GuestLinkTest, WhatNoFrameHoldsIsRefusedAndTheLinkLives) {
  Open();
  Say(Greeting());
  guest::Create create;
  create.environment["X"].assign(kMaxFrameBytes, 'x');
  const auto sent = link_->Send({1, create});
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, Code::kExhausted);
  Say(Bytes(guest::Pong{1}));
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return frames_ == 1; }));
}

TEST_F(GuestLinkTest, TwoLargeArchivesTravelAndARunDoesNotWaitBehindThem) {
  Open();
  Say(Greeting());
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return hellos_ == 1; }));
  const auto code = std::make_shared<const std::string>(50U << 20, 'c');
  int sent = 0;
  for (const char digit : {'a', 'b'}) link_->SendArchive(CodeHash(std::string(64, digit)), code, [&sent] { ++sent; });
  constexpr std::size_t kMostQueued = kArchiveQueueBytes + kMaxCodeChunkBytes + 1024;
  std::size_t most = 0, read = 0, read_at_run = 0, read_before_run = 0;
  std::vector<std::string> offers;
  FrameReader frames;
  std::string block(1U << 20, '\0');
  while (losses_ == 0 && (read < 2 * code->size() || sent < 2)) {
    most = std::max(most, link_->queued_bytes());
    const ssize_t n = recv(peer_, block.data(), block.size(), 0);
    if (n > 0) {
      ASSERT_TRUE(frames.Feed({block.data(), static_cast<std::size_t>(n)}));
    }
    while (auto raw = frames.Next()) {
      const auto frame = guest::DecodeGuestFrame(std::move(*raw));
      ASSERT_TRUE(frame) << frame.error().message;
      if (const auto* offer = std::get_if<guest::CodeOffer>(&frame->message)) {
        EXPECT_EQ(read, offers.size() * code->size()) << "one at a time";
        offers.push_back(offer->hash.value.substr(0, 1));
      } else if (const auto* chunk = std::get_if<guest::CodeChunk>(&frame->message)) {
        read += chunk->bytes.size();
      } else if (std::holds_alternative<guest::Run>(frame->message)) {
        read_before_run = read - read_at_run;
      }
    }
    if (read_at_run == 0 && read > code->size() / 2) {
      read_at_run = read;
      EXPECT_TRUE(link_->Send({1, guest::Run{}}));
    }
    uv_run(loop_.raw(), UV_RUN_NOWAIT);
  }
  EXPECT_EQ(losses_, 0) << lost_;
  EXPECT_EQ(offers, (std::vector<std::string>{"a", "b"}));
  EXPECT_LE(most, kMostQueued);
  EXPECT_GT(read_before_run, 0U);
  EXPECT_LE(read_before_run, kMostQueued + (1U << 20)) << "and what the socket holds";
}

// A guest that reads as fast as it can, and the machine of somebody else beside it: what that one says is heard in the
// next turns of the loop, at any time of the transfer.
TEST_F(GuestLinkTest, AnArchiveOfAnySizeKeepsNoNeighbourWaiting) {
  Open();
  Say(Greeting());
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return hellos_ == 1; }));
  int heard = 0;
  bool greeted = false;
  GuestLink::Callbacks callbacks;
  callbacks.hello = [&](const guest::Hello&) { greeted = true; };
  callbacks.frame = [&](const guest::Frame&) { ++heard; };
  callbacks.lost = [](const std::string& reason) { ADD_FAILURE() << reason; };
  const std::string path = (folder_ / "neighbour.sock").string();
  auto neighbour = GuestLink::Listen(loop_, path, kPatienceMs, std::move(callbacks));
  ASSERT_TRUE(neighbour);
  const int peer = ConnectTo(path);
  ASSERT_GE(peer, 0);
  const auto say = [peer](const std::string& bytes) {
    ASSERT_EQ(send(peer, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  };
  say(Greeting());
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&] { return greeted; }));

  std::atomic<bool> over = false;
  std::atomic<std::size_t> read = 0;
  std::thread reader([this, &over, &read] {
    std::string block(1U << 20, '\0');
    while (!over) {
      const ssize_t n = recv(peer_, block.data(), block.size(), 0);
      if (n > 0) {
        read += static_cast<std::size_t>(n);
      } else {
        std::this_thread::yield();
      }
    }
  });
  const auto code = std::make_shared<const std::string>(50U << 20, 'c');
  int sent = 0;
  for (const char digit : {'a', 'b'}) link_->SendArchive(CodeHash(std::string(64, digit)), code, [&sent] { ++sent; });
  EXPECT_EQ(sent, 0) << "not in one go";
  int most_turns = 0;
  std::size_t read_before = 0;
  while (sent < 2 && losses_ == 0) {
    if (read - read_before < kMaxCodeChunkBytes) {  // what it says is no flood
      uv_run(loop_.raw(), UV_RUN_NOWAIT);
      continue;
    }
    read_before = read;
    const int before = heard;
    say(Bytes(guest::Pong{1}));
    int turns = 0;
    for (; heard == before && turns < 1000; ++turns) uv_run(loop_.raw(), UV_RUN_NOWAIT);
    most_turns = std::max(most_turns, turns);
  }
  over = true;
  reader.join();
  close(peer);
  EXPECT_EQ(losses_, 0) << lost_;
  EXPECT_GT(heard, 0);
  EXPECT_LE(most_turns, 3);
}

TEST_F(GuestLinkTest, AGuestThatDoesNotReadIsCutOff) {
  Open();
  Say(Greeting());
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return hellos_ == 1; }));
  guest::Run run;
  run.id = InvocationId("i");
  run.input = std::string(kMaxPayloadBytes, 'x');
  const std::size_t enough = 2 * kMaxStreamQueueBytes / kMaxPayloadBytes;
  for (std::size_t i = 0; i < enough && losses_ == 0; ++i) link_->Send({1, run});
  ASSERT_TRUE(Lost());
  EXPECT_THAT(lost_, HasSubstr("does not read"));
}

TEST_F(GuestLinkTest, OneConnectionForTheLifeOfTheMachine) {
  Open();
  Say(Greeting());
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return hellos_ == 1; }));
  EXPECT_EQ(Connect(), -1) << "nobody else can be the guest";
  Say(Bytes(guest::Pong{1}));
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return frames_ == 1; }));
  EXPECT_EQ(losses_, 0);
}

TEST_F(GuestLinkTest, WhatDoesNotBeginWithOneHelloOfThisProtocolIsNoGuest) {
  guest::Hello other;
  other.protocol = guest::kProtocolVersion + 1;
  const struct {
    std::string bytes;
    const char* reason;
  } cases[] = {{Bytes(guest::Pong{1}), "did not begin with HELLO"},
               {Bytes(other), "speaks version"},
               {Greeting() + Greeting(), "HELLO twice"},
               {std::string(64, '\0'), "rubbish"},
               {Greeting() + std::string("\x01\0\0\0\xfe\0\0\0\0x", 10), "rubbish"}};
  for (const auto& one : cases) {
    losses_ = hellos_ = 0;
    Open();
    Say(one.bytes);
    ASSERT_TRUE(Lost());
    EXPECT_THAT(lost_, HasSubstr(one.reason));
    close(peer_);
    peer_ = -1;
    link_.reset();
  }
}

TEST_F(GuestLinkTest, NothingIsHeardAfterTheLoss) {
  Open();
  Say(Greeting() + Greeting() + Bytes(guest::Pong{1}));
  ASSERT_TRUE(Lost());
  for (int i = 0; i < 10; ++i) uv_run(loop_.raw(), UV_RUN_NOWAIT);
  EXPECT_EQ(losses_, 1);
  EXPECT_EQ(frames_, 0);
}

}  // namespace
}  // namespace hearth::executor
