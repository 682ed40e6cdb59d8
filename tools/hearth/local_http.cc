#include "tools/hearth/local_http.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <array>
#include <charconv>
#include <cstring>
#include <string_view>

#include "common/base/fd.h"
#include "common/base/time.h"

namespace hearth::tool {
namespace {

Result<Fd> Connect(const std::string& address, std::int64_t timeout_ms) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const std::string path = address.starts_with("unix:") ? address.substr(5) : "";
  if (path.empty() || path.size() >= sizeof name.sun_path) {
    return Fail(Code::kInvalid, "'" + address + "': expected unix:PATH");
  }
  std::memcpy(name.sun_path, path.data(), path.size());
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{timeout_ms / 1000, (timeout_ms % 1000) * 1000};
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
    return Fail(errno == ENOENT ? Code::kNotFound : Code::kUnavailable,
                fmt::format("{}: {}", address, std::generic_category().message(errno)));
  }
  return socket;
}

}  // namespace

Result<LocalAnswer> GetLocally(const std::string& address, const std::string& path, std::int64_t timeout_ms) {
  auto socket = Connect(address, timeout_ms);
  if (!socket) return std::unexpected(socket.error());
  const std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
  const auto failed = [&] { return Fail(Code::kUnavailable, address + " does not answer"); };
  if (send(socket->get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    return failed();
  }
  const std::int64_t until_us = ReadClocks().mono_us + timeout_ms * kMicrosPerMilli;
  std::string text;
  std::array<char, 4096> chunk{};
  for (;;) {
    const ssize_t count = recv(socket->get(), chunk.data(), chunk.size(), 0);
    if (count == 0) break;
    if (count < 0 || ReadClocks().mono_us > until_us || text.size() > kMaxLocalAnswerBytes) return failed();
    text.append(chunk.data(), static_cast<std::size_t>(count));
  }
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  const auto body = text.find("\r\n\r\n");
  LocalAnswer answer;
  if (!text.starts_with(kVersion) || body == std::string::npos ||
      std::from_chars(text.data() + kVersion.size(), text.data() + body, answer.status).ec != std::errc{}) {
    return failed();
  }
  answer.body = text.substr(body + 4);
  return answer;
}

}  // namespace hearth::tool
