// A status port that anybody may reach: what strangers send, hold open or withhold, over real sockets.
#include "common/http/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <vector>

#include "common/base/fd.h"
#include "common/base/time.h"

namespace hearth {
namespace {

constexpr std::int64_t kPatienceMs = 20'000;
constexpr std::size_t kManyBytes = 100U << 20;
constexpr std::int64_t kMostGrowthBytes = 32 << 20;
constexpr std::int64_t kSoonMs = 1000;  // for a healthy answer, on a loaded host too

std::int64_t NowMs() {
  return ReadClocks().mono_us / kMicrosPerMilli;
}

std::int64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  std::int64_t size = 0;
  std::int64_t resident = 0;
  file >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

class HttpServerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = HttpServer::Start("127.0.0.1:0", [this](std::string_view path) -> HttpAnswer {
      if (path == "/healthz") return {200, "ok\n"};
      if (path == "/large") return {200, std::string(kLarge, 'x')};
      if (path.starts_with("/echo/")) return {200, std::string(path)};
      return {404, "no such page\n"};
    });
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }

  Fd Connect() const {
    Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(static_cast<std::uint16_t>(server_->port()));
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
    return fd;
  }
  static void Say(const Fd& fd, std::string_view text) { send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL); }
  // All until the server closes.
  static std::string Hear(const Fd& fd) {
    std::string text;
    std::array<char, 65536> chunk{};
    for (pollfd polled{fd.get(), POLLIN, 0}; poll(&polled, 1, kPatienceMs) == 1;) {
      const ssize_t count = recv(fd.get(), chunk.data(), chunk.size(), 0);
      if (count <= 0) return text;
      text.append(chunk.data(), static_cast<std::size_t>(count));
    }
    ADD_FAILURE() << "the server does not close";
    return text;
  }
  std::string Ask(std::string_view request) const {
    const Fd fd = Connect();
    Say(fd, request);
    return Hear(fd);
  }
  void ExpectHealthy() const {
    const std::int64_t from_ms = NowMs();
    EXPECT_TRUE(Ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
    EXPECT_LT(NowMs() - from_ms, kSoonMs);
  }

  static constexpr std::size_t kLarge = 4U << 20;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersAndCloses) {
  const std::string answer = Ask("GET /healthz?x=1 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(answer.ends_with("\r\n\r\nok\n")) << answer;
  EXPECT_NE(answer.find("Content-Length: 3\r\n"), std::string::npos) << answer;
  EXPECT_TRUE(Ask("HEAD /healthz HTTP/1.0\r\n\r\n").ends_with("\r\n\r\n"));
  EXPECT_TRUE(Ask("GET /other HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
  EXPECT_EQ(Ask("GET /large HTTP/1.1\r\n\r\n").size() / kLarge, 1U);
}

TEST_F(HttpServerTest, APathArrivesDecoded) {
  const auto arrives = [&](const std::string& as, const std::string& sent) {
    const std::string answer = Ask("GET /echo/" + sent + " HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(answer.ends_with("\r\n\r\n/echo/" + as)) << answer;
  };
  arrives("a/b?c d+e", "a%2Fb%3fc%20d+e?query");
  arrives("\xc3\xa4\xff", "%C3%a4%ff");
  arrives("%41", "%2541");
  arrives("../%zz%4%", "../%zz%4%");
}

TEST_F(HttpServerTest, WhatIsNoRequestIsRefused) {
  EXPECT_TRUE(Ask("PUT /healthz HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
  EXPECT_TRUE(Ask("GET healthz HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(Ask("GET  HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(Ask("GET\r\n\r\n").empty()) << "closed";
  EXPECT_TRUE(Ask("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(Ask("GET / HTTP/1.1\r\nCONTENT-LENGTH: 007\r\n\r\n").starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(Ask("GET /healthz HTTP/1.1\r\nContent-Length: 0\r\n\r\n").starts_with("HTTP/1.1 200 "));
  ExpectHealthy();
}

TEST_F(HttpServerTest, ALargeBodyIsNotReadIntoMemory) {
  const std::int64_t before = ResidentBytes();
  const Fd fd = Connect();
  Say(fd, "POST /healthz HTTP/1.1\r\nContent-Length: " + std::to_string(kManyBytes) + "\r\n\r\n");
  const std::string chunk(65536, 'x');
  std::size_t sent = 0;
  while (sent < kManyBytes) {
    const ssize_t count = send(fd.get(), chunk.data(), chunk.size(), MSG_NOSIGNAL);
    if (count <= 0) break;
    sent += static_cast<std::size_t>(count);
  }
  EXPECT_LT(sent, kManyBytes) << "it was cut off";
  EXPECT_LT(ResidentBytes() - before, kMostGrowthBytes);
  ExpectHealthy();
}

TEST_F(HttpServerTest, HeadersWithoutEndAreRefused) {
  EXPECT_TRUE(Ask("GET / HTTP/1.1\r\nX: " + std::string(kMaxHttpRequestBytes, 'x')).starts_with("HTTP/1.1 431 "));
  ExpectHealthy();
}

TEST_F(HttpServerTest, ClientsThatDripDelayNobody) {
  std::vector<Fd> drips;
  for (int i = 0; i < 50; ++i) drips.push_back(Connect());
  for (const char each : std::string_view("GET /healthz HT")) {
    for (const Fd& drip : drips) Say(drip, {&each, 1});
    ExpectHealthy();
  }
}

TEST_F(HttpServerTest, ADripEndsWhenItsTimeIsOver) {
  const Fd drip = Connect();
  const std::int64_t from_ms = NowMs();
  std::int64_t said = 0;
  std::array<char, 256> heard{};
  pollfd polled{drip.get(), POLLIN, 0};
  while (NowMs() - from_ms < kPatienceMs) {
    if (said++ < 1000) Say(drip, "x");
    if (poll(&polled, 1, 50) == 1 && recv(drip.get(), heard.data(), heard.size(), 0) <= 0) break;
  }
  EXPECT_LT(NowMs() - from_ms, kPatienceMs) << "every byte gave it more time";
}

TEST_F(HttpServerTest, IdleConnectionsAreCappedAndDelayNobody) {
  const std::int64_t before = ResidentBytes();
  std::vector<Fd> idle;
  for (int i = 0; i < 500; ++i) idle.push_back(Connect());
  ExpectHealthy();
  EXPECT_TRUE(Hear(idle.front()).empty()) << "the oldest went";
  EXPECT_LT(ResidentBytes() - before, kMostGrowthBytes);
}

TEST_F(HttpServerTest, AnswersThatNobodyReadsAreBounded) {
  const std::int64_t before = ResidentBytes();
  std::vector<Fd> deaf;
  for (int i = 0; i < 100; ++i) {
    deaf.push_back(Connect());
    Say(deaf.back(), "GET /large HTTP/1.1\r\n\r\n");
  }
  // The last one was answered: so were those before it, or they were told that there is too much already.
  pollfd polled{deaf.back().get(), POLLIN, 0};
  ASSERT_EQ(poll(&polled, 1, kPatienceMs), 1);
  std::array<char, 12> start{};
  ASSERT_EQ(recv(deaf.back().get(), start.data(), start.size(), MSG_WAITALL), static_cast<ssize_t>(start.size()));
  EXPECT_EQ(std::string_view(start.data(), start.size()), "HTTP/1.1 503");
  EXPECT_LT(ResidentBytes() - before, 2 * kMostGrowthBytes);
  // Their time ends, though they say and take nothing, and what was held for them is free.
  const std::int64_t from_ms = NowMs();
  while (!Ask("GET /healthz HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 ")) {
    ASSERT_LT(NowMs() - from_ms, kPatienceMs) << "it stays held";
  }
}

TEST(HttpServerUnix, BelongsToItsAccountAndReplacesWhatADeadOneLeft) {
  std::string folder = "/tmp/hearth-h-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/s.sock";
  const auto start = [&] { return HttpServer::Start("unix:" + path, [](std::string_view) { return HttpAnswer{}; }); };
  {
    const Fd dead(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof name.sun_path - 1);
    ASSERT_EQ(bind(dead.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
  }
  {
    const auto server = start();
    ASSERT_TRUE(server) << server.error().message;
    struct stat about{};
    ASSERT_EQ(stat(path.c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777U, 0600U);
    EXPECT_FALSE(start()) << "it is in use";
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace hearth
