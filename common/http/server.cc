#include "common/http/server.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/fd.h"
#include "common/base/time.h"

namespace hearth {
namespace {

constexpr int kBacklog = 512;
constexpr std::int64_t kAcceptPauseMs = 50;  // where no descriptor is left

std::string_view Phrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 413: return "Payload Too Large";
    case 431: return "Request Header Fields Too Large";
    default: return "Service Unavailable";
  }
}

std::int64_t NowMs() {
  return ReadClocks().mono_us / kMicrosPerMilli;
}

struct Connection {
  Fd socket;
  std::int64_t until_ms = 0;
  std::string in;
  std::string out;  // empty: the request is not whole
  std::size_t sent = 0;
};

struct Bound {
  Fd socket;
  int port = 0;
  std::string path{};  // of the socket file
};

std::unexpected<Error> Failed(const std::string& address, int error) {
  return Fail(Code::kUnavailable,
              fmt::format("cannot serve http at {}: {}", address, std::generic_category().message(error)));
}

Result<Bound> BindUnix(const std::string& address) {
  Bound bound{Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), 0, address.substr(5)};
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (bound.path.empty() || bound.path.size() >= sizeof name.sun_path) {
    return Fail(Code::kInvalid, "http address '" + address + "': the path must have 1 to 107 bytes");
  }
  std::memcpy(name.sun_path, bound.path.data(), bound.path.size());
  const auto* raw = reinterpret_cast<const sockaddr*>(&name);
  // One that nobody listens on is of an earlier life.
  const Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(probe.get(), raw, sizeof name) != 0 && errno == ECONNREFUSED) unlink(bound.path.c_str());
  if (bind(bound.socket.get(), raw, sizeof name) != 0) return Failed(address, errno);
  if (chmod(bound.path.c_str(), S_IRUSR | S_IWUSR) != 0 || listen(bound.socket.get(), kBacklog) != 0) {
    return Failed(address, errno);
  }
  return bound;
}

Result<Bound> BindTcp(const std::string& address) {
  const auto colon = address.rfind(':');
  int port = -1;
  if (colon != std::string::npos) {
    std::from_chars(address.data() + colon + 1, address.data() + address.size(), port);
  }
  if (port < 0 || port > 65535) return Fail(Code::kInvalid, "http address '" + address + "': expected HOST:PORT");
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(address.substr(0, colon).c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return Fail(Code::kInvalid, "http address '" + address + "': the host is not known");
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, freeaddrinfo);
  Bound bound{Fd(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), 0};
  const int yes = 1;  // without SO_REUSEPORT: a port in use must be an error, not a shared port
  setsockopt(bound.socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (bind(bound.socket.get(), found->ai_addr, found->ai_addrlen) != 0 || listen(bound.socket.get(), kBacklog) != 0 ||
      getsockname(bound.socket.get(), reinterpret_cast<sockaddr*>(&name), &size) != 0) {
    return Failed(address, errno);
  }
  const bool v6 = name.ss_family == AF_INET6;
  bound.port = ntohs(v6 ? reinterpret_cast<const sockaddr_in6*>(&name)->sin6_port
                        : reinterpret_cast<const sockaddr_in*>(&name)->sin_port);
  return bound;
}

}  // namespace

struct HttpServer::Impl {
  Bound bound;
  Handler handler;
  Fd wake{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::vector<Connection> connections;  // the oldest first
  std::size_t held_bytes = 0;
  std::int64_t accept_from_ms = 0;
  std::jthread thread;

  void Run(const std::stop_token& stop);
  void Accept();
  void Read(Connection& connection);
  void Answer(Connection& connection, const HttpRequest& request);
  void Write(Connection& connection);
  void Close(Connection& connection);
  void MakeRoom();
};

// A closed connection has no socket; it is taken out at the end of the round.
void HttpServer::Impl::Close(Connection& connection) {
  held_bytes -= std::exchange(connection.out, {}).size();
  connection.socket.Reset();
}

void HttpServer::Impl::MakeRoom() {
  std::erase_if(connections, [](const Connection& one) { return !one.socket; });
  if (connections.size() < kMaxHttpConnections) return;
  const auto silent = std::ranges::find_if(connections, [](const Connection& one) { return one.out.empty(); });
  const auto oldest = silent != connections.end() ? silent : connections.begin();
  Close(*oldest);
  connections.erase(oldest);
}

void HttpServer::Impl::Accept() {
  for (std::size_t i = 0; i < kMaxHttpConnections; ++i) {
    Fd socket(accept4(bound.socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) {
      if (errno == EMFILE || errno == ENFILE) accept_from_ms = NowMs() + kAcceptPauseMs;
      return;
    }
    MakeRoom();
    connections.push_back({std::move(socket), NowMs() + kHttpConnectionMs, {}, {}});
    Read(connections.back());  // mostly it is there already
  }
}

void HttpServer::Impl::Read(Connection& connection) {
  std::array<char, kMaxHttpRequestBytes> chunk{};
  const ssize_t count = recv(connection.socket.get(), chunk.data(), chunk.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) return Close(connection);
  connection.in.append(chunk.data(), static_cast<std::size_t>(count));
  const HttpRequest request = ReadHttpRequest(connection.in);
  if (request.state != HttpRequest::State::kPartial) Answer(connection, request);
}

void HttpServer::Impl::Answer(Connection& connection, const HttpRequest& request) {
  HttpAnswer answer{503, "busy\n"};
  if (request.state == HttpRequest::State::kRefused) {
    answer = {request.status, fmt::format("{}\n", Phrase(request.status))};
  } else if (held_bytes <= kMaxHttpHeldBytes) {
    answer = handler(request.path);
  }
  connection.in = {};
  connection.out = fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                               answer.status, Phrase(answer.status), answer.content_type, answer.body.size());
  if (!request.head) connection.out += answer.body;
  held_bytes += connection.out.size();
  Write(connection);
}

void HttpServer::Impl::Write(Connection& connection) {
  const ssize_t count = send(connection.socket.get(), connection.out.data() + connection.sent,
                             connection.out.size() - connection.sent, MSG_NOSIGNAL);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count < 0) return Close(connection);
  connection.sent += static_cast<std::size_t>(count);
  if (connection.sent == connection.out.size()) Close(connection);
}

void HttpServer::Impl::Run(const std::stop_token& stop) {
  std::vector<pollfd> polled;
  while (!stop.stop_requested()) {
    const std::int64_t now_ms = NowMs();
    std::int64_t wait_ms = -1;
    const auto until = [&](std::int64_t at_ms) {
      const std::int64_t left_ms = std::max<std::int64_t>(0, at_ms - now_ms);
      wait_ms = wait_ms < 0 ? left_ms : std::min(wait_ms, left_ms);
    };
    const bool accepting = now_ms >= accept_from_ms;
    if (!accepting) until(accept_from_ms);
    polled.assign({{wake.get(), POLLIN, 0}, {accepting ? bound.socket.get() : -1, POLLIN, 0}});
    for (const auto& one : connections) {
      until(one.until_ms);
      polled.push_back({one.socket.get(), static_cast<short>(one.out.empty() ? POLLIN : POLLOUT), 0});
    }
    poll(polled.data(), polled.size(), static_cast<int>(wait_ms));
    for (std::size_t i = 0; i < connections.size(); ++i) {
      Connection& one = connections[i];
      if (NowMs() >= one.until_ms) {
        Close(one);
      } else if (polled[i + 2].revents != 0) {
        one.out.empty() ? Read(one) : Write(one);
      }
    }
    std::erase_if(connections, [](const Connection& one) { return !one.socket; });
    if ((polled[1].revents & POLLIN) != 0) Accept();
    std::erase_if(connections, [](const Connection& one) { return !one.socket; });
  }
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  impl_->thread.request_stop();
  eventfd_write(impl_->wake.get(), 1);
  impl_->thread.join();
  if (!impl_->bound.path.empty()) unlink(impl_->bound.path.c_str());
}

int HttpServer::port() const {
  return impl_->bound.port;
}

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& address, Handler handler) {
  auto bound = address.starts_with("unix:") ? BindUnix(address) : BindTcp(address);
  if (!bound) return std::unexpected(bound.error());
  auto impl = std::make_unique<Impl>();
  impl->bound = std::move(*bound);
  impl->handler = std::move(handler);
  impl->thread = std::jthread([raw = impl.get()](const std::stop_token& stop) { raw->Run(stop); });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

}  // namespace hearth
