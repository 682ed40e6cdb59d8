#include "tools/machine/qmp.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <thread>
#include <utility>

namespace hearth::guest {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kMaxAnswerBytes = 4U << 20;
constexpr milliseconds kConnectAgain{2};
constexpr milliseconds kAskAgain{2};

Result<void> SendAll(int socket, std::string_view bytes, int descriptor) {
  bool first = true;
  while (!bytes.empty()) {
    iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    if (first && descriptor >= 0) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* head = CMSG_FIRSTHDR(&message);
      head->cmsg_level = SOL_SOCKET;
      head->cmsg_type = SCM_RIGHTS;
      head->cmsg_len = CMSG_LEN(sizeof(int));
      std::memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
    }
    const ssize_t n = sendmsg(socket, &message, MSG_NOSIGNAL);
    if (n < 0) return Fail(Code::kUnavailable, std::string("monitor: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(n));
    first = false;
  }
  return {};
}

}  // namespace

Qmp::Qmp(Qmp&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)), unread_(std::move(other.unread_)), commands_(other.commands_) {}

Qmp& Qmp::operator=(Qmp&& other) noexcept {
  std::swap(socket_, other.socket_);
  std::swap(unread_, other.unread_);
  std::swap(commands_, other.commands_);
  return *this;
}

Qmp::~Qmp() {
  if (socket_ >= 0) close(socket_);
}

Result<Qmp> Qmp::Connect(const std::string& path, milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return Fail(Code::kInvalid, "monitor: " + path + " is too long a path");
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", path.c_str());
  Qmp qmp(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  while (connect(qmp.socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    if (Clock::now() >= deadline) return Fail(Code::kDeadline, "monitor: nobody listens at " + path);
    std::this_thread::sleep_for(kConnectAgain);
  }
  auto greeting = qmp.Read(deadline);
  if (!greeting) return std::unexpected(greeting.error());
  if (!greeting->contains("QMP")) return Fail(Code::kInvalid, "monitor: no QEMU at " + path);
  if (auto ready = qmp.Execute("qmp_capabilities"); !ready) return std::unexpected(ready.error());
  return qmp;
}

Result<nlohmann::json> Qmp::Read(Clock::time_point deadline) {
  for (;;) {
    if (const auto end = unread_.find('\n'); end != std::string::npos) {
      auto line = nlohmann::json::parse(unread_.substr(0, end), nullptr, false);
      unread_.erase(0, end + 1);
      if (!line.is_object()) return Fail(Code::kInvalid, "monitor: an answer that is no object");
      return line;
    }
    if (unread_.size() > kMaxAnswerBytes) return Fail(Code::kExhausted, "monitor: an answer without end");
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    pollfd wait{socket_, POLLIN, 0};
    if (poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(0, left.count()))) != 1)
      return Fail(Code::kDeadline, "monitor: no answer in time");
    std::array<char, 16384> block{};
    const ssize_t n = recv(socket_, block.data(), block.size(), 0);
    if (n <= 0) return Fail(Code::kUnavailable, "monitor: QEMU closed it");
    unread_.append(block.data(), static_cast<std::size_t>(n));
  }
}

Result<nlohmann::json> Qmp::Execute(std::string_view command, nlohmann::json arguments, int descriptor) {
  const auto deadline = Clock::now() + kMonitorTimeout;
  nlohmann::json request = {{"execute", command}};
  if (!arguments.empty()) request["arguments"] = std::move(arguments);
  ++commands_;
  if (auto sent = SendAll(socket_, request.dump() + "\n", descriptor); !sent) return std::unexpected(sent.error());
  for (;;) {
    auto line = Read(deadline);
    if (!line) return FailWith(command, line.error());
    if (line->contains("return")) return (*line)["return"];
    if (line->contains("error"))
      return Fail(Code::kInternal, std::string(command) + ": " + (*line)["error"].value("desc", "no reason given"));
  }
}

Result<void> Qmp::GiveDescriptor(const std::string& name, int descriptor) {
  auto given = Execute("getfd", {{"fdname", name}}, descriptor);
  if (!given) return std::unexpected(given.error());
  return {};
}

Result<std::int64_t> Qmp::Instructions() {
  auto answer = Execute("query-replay");
  if (!answer) return std::unexpected(answer.error());
  const auto count = answer->value("icount", std::int64_t{0});
  if (count <= 0) return Fail(Code::kInternal, "QEMU counts no instructions");
  return count;
}

Result<void> Qmp::AwaitMigration(milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  for (;;) {
    auto answer = Execute("query-migrate");
    if (!answer) return std::unexpected(answer.error());
    const std::string status = answer->value("status", "none");
    if (status == "completed") return {};
    if (status == "failed" || status == "cancelled")
      return Fail(Code::kInternal, "migration " + status + ": " + answer->value("error-desc", "no reason given"));
    if (Clock::now() >= deadline) return Fail(Code::kDeadline, "migration: still " + status);
    std::this_thread::sleep_for(kAskAgain);
  }
}

}  // namespace hearth::guest
