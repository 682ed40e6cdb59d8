// What `hearth why` asks a dispatcher, over a real socket and against the server that dispatchers have.
#include "tools/hearth/local_http.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <filesystem>

#include "common/base/fd.h"
#include "common/http/server.h"

namespace hearth::tool {
namespace {

constexpr std::int64_t kPatienceMs = 20'000;
constexpr std::int64_t kShortMs = 100;  // nothing comes, however long it waits

class LocalHttpTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
    auto server = HttpServer::Start("unix:" + folder_ + "/s", [](std::string_view path) -> HttpAnswer {
      if (path == "/large/x") return {200, std::string(kMaxLocalAnswerBytes + 1, 'x')};
      if (path == "/all/x") return {200, std::string(kMaxLocalAnswerBytes, 'x')};
      return {404, std::string(path)};
    });
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  // A socket that has the name and maybe listens, but never accepts.
  Fd Bound(const std::string& name, bool listens) const {
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (folder_ + name).copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_TRUE(!listens || listen(fd.get(), 1) == 0);
    return fd;
  }
  Result<LocalAnswer> Get(const std::string& socket, const std::string& folder, const std::string& name,
                          std::int64_t timeout_ms = kPatienceMs) const {
    return GetLocally("unix:" + folder_ + socket, folder, name, timeout_ms);
  }

  std::string folder_ = "/tmp/hearth-l-XXXXXX";
  std::unique_ptr<HttpServer> server_;
};

TEST_F(LocalHttpTest, AnyIdArrivesAsItIs) {
  for (const std::string id : {"order-7", "partition:1/offset:24", "a b?c#d&e+f", "%", "%4", "%zz", "%41", "..", ".",
                               "../../metrics", "\xc3\xa4", "http://x/"}) {
    const auto answer = Get("/s", "/decisions/", id);
    ASSERT_TRUE(answer) << id << ": " << answer.error().message;
    EXPECT_EQ(answer->status, 404);
    EXPECT_EQ(answer->body, "/decisions/" + id);
  }
}

TEST_F(LocalHttpTest, AnAnswerIsBounded) {
  const auto all = Get("/s", "/all/", "x");
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_EQ(all->body.size(), kMaxLocalAnswerBytes);
  const auto large = Get("/s", "/large/", "x");
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, Code::kUnavailable);
}

TEST_F(LocalHttpTest, WhoIsNotThereIsToldFromWhoDoesNotAnswer) {
  const auto code = [&](const std::string& socket) {
    const auto answer = Get(socket, "/decisions/", "x", kShortMs);
    return answer ? Code::kInternal : answer.error().code;
  };
  const Fd dead = Bound("/dead", false);
  const Fd silent = Bound("/silent", true);
  EXPECT_EQ(code("/none"), Code::kNotFound);
  EXPECT_EQ(code("/dead"), Code::kUnavailable);
  EXPECT_EQ(code("/silent"), Code::kUnavailable);
  EXPECT_EQ(code("/" + std::string(200, 'x')), Code::kInvalid) << "a name too long for a socket";
  EXPECT_EQ(GetLocally("127.0.0.1:80", "/", "x", kShortMs).error().code, Code::kInvalid);
  EXPECT_EQ(GetLocally("unix:", "/", "x", kShortMs).error().code, Code::kInvalid);
}

TEST_F(LocalHttpTest, APageIsReadOverTcpToo) {
  const auto answer = [](std::string_view path) -> HttpAnswer { return {503, "not ready: " + std::string(path)}; };
  const auto server = HttpServer::Start("127.0.0.1:0", answer);
  ASSERT_TRUE(server) << server.error().message;
  const auto page = GetPage("127.0.0.1:" + std::to_string((*server)->port()), "/readyz", kPatienceMs);
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(page->status, 503);
  EXPECT_EQ(page->body, "not ready: /readyz");
  EXPECT_EQ(GetPage("127.0.0.1:1", "/readyz", kPatienceMs).error().code, Code::kUnavailable);
  EXPECT_EQ(GetPage("nonsense", "/readyz", kPatienceMs).error().code, Code::kInvalid);
}

}  // namespace
}  // namespace hearth::tool
