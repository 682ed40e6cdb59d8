#include "common/http/server.h"

#include <fmt/format.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/fd.h"
#include "common/base/time.h"
#include "common/base/unix_socket.h"

namespace hearth {
namespace {

constexpr int kBacklog = 512;
// As the library counts them: with those that were cut off and are not closed yet.
constexpr unsigned int kMaxOpenConnections = 2 * kMaxHttpConnections;

std::int64_t NowMs() {
  return ReadClocks().mono_us / kMicrosPerMilli;
}

int SocketOf(MHD_Connection* connection) {
  return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

// A body is announced: by its length, unless that is 0, or by its coding.
bool AnnouncesBody(MHD_Connection* connection) {
  const auto header = [&](const char* name) { return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name); };
  const char* length = header(MHD_HTTP_HEADER_CONTENT_LENGTH);
  return header(MHD_HTTP_HEADER_TRANSFER_ENCODING) != nullptr ||
         (length != nullptr && std::string_view(length).find_first_not_of('0') != std::string_view::npos);
}

struct Bound {
  Fd socket;
  int port = 0;
  std::string path{};  // of the socket file
};

std::unexpected<Error> Failed(const std::string& text, int error) {
  return Fail(Code::kUnavailable,
              fmt::format("cannot serve http at {}: {}", text, std::generic_category().message(error)));
}

Result<Bound> BindUnix(const std::string& text, const std::string& path) {
  Bound bound{Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), 0, path};
  if (!bound.socket) return Failed(text, errno);
  const sockaddr_un name = SocketName(path);
  RemoveStaleSocket(path);
  if (bind(bound.socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) return Failed(text, errno);
  if (chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0 || listen(bound.socket.get(), kBacklog) != 0) {
    return Failed(text, errno);
  }
  return bound;
}

Result<Bound> BindTcp(const std::string& text, const Address& address) {
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found) != 0) {
    return Fail(Code::kInvalid, "http address '" + text + "': the host is not known");
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, freeaddrinfo);
  Bound bound{Fd(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), 0};
  const int yes = 1;  // without SO_REUSEPORT: a port in use must be an error, not a shared port
  setsockopt(bound.socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (bind(bound.socket.get(), found->ai_addr, found->ai_addrlen) != 0 || listen(bound.socket.get(), kBacklog) != 0 ||
      getsockname(bound.socket.get(), reinterpret_cast<sockaddr*>(&name), &size) != 0) {
    return Failed(text, errno);
  }
  const bool v6 = name.ss_family == AF_INET6;
  bound.port = ntohs(v6 ? reinterpret_cast<const sockaddr_in6*>(&name)->sin6_port
                        : reinterpret_cast<const sockaddr_in*>(&name)->sin_port);
  return bound;
}

}  // namespace

struct HttpServer::Impl {
  // Not cut off and not closed.
  struct Connection {
    int socket;
    std::int64_t until_ms;
    bool answered = false;
  };
  // The body of an answer that the client has not taken whole.
  struct Held {
    Impl* server;
    std::string body;
  };

  std::string socket_file;
  int port = 0;
  Handler handler;
  MHD_Daemon* daemon = nullptr;
  std::vector<Connection> connections;  // the oldest first
  std::size_t held_bytes = 0;
  std::jthread thread;

  ~Impl();
  void Run(const std::stop_token& stop);
  void Cut(std::vector<Connection>::iterator connection);
  void MakeRoom();
  HttpAnswer AnswerTo(MHD_Connection* connection, const char* path, std::string_view method);

  // What the library calls, all on `thread`.
  static void OnConnection(void* self, MHD_Connection* connection, void** context, MHD_ConnectionNotificationCode code);
  static MHD_Result OnRequest(void* self, MHD_Connection* connection, const char* path, const char* method,
                              const char* version, const char* body, size_t* body_size, void** context);
  static void OnTaken(void* held);
};

// The library sees the end of it in its next round and closes it.
void HttpServer::Impl::Cut(std::vector<Connection>::iterator connection) {
  shutdown(connection->socket, SHUT_RDWR);
  connections.erase(connection);
}

void HttpServer::Impl::MakeRoom() {
  if (connections.size() < kMaxHttpConnections) return;
  const auto silent = std::ranges::find_if(connections, [](const Connection& one) { return !one.answered; });
  Cut(silent != connections.end() ? silent : connections.begin());
}

void HttpServer::Impl::OnConnection(void* self, MHD_Connection* connection, void** /*context*/,
                                    MHD_ConnectionNotificationCode code) {
  auto& server = *static_cast<Impl*>(self);
  const int socket = SocketOf(connection);
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    server.MakeRoom();
    server.connections.push_back({socket, NowMs() + kHttpConnectionMs});
  } else {
    std::erase_if(server.connections, [&](const Connection& one) { return one.socket == socket; });
  }
}

HttpAnswer HttpServer::Impl::AnswerTo(MHD_Connection* connection, const char* path, std::string_view method) {
  if (AnnouncesBody(connection)) return {413, "no body is taken\n"};
  if (method != MHD_HTTP_METHOD_GET && method != MHD_HTTP_METHOD_HEAD) return {405, "GET alone is answered\n"};
  if (*path != '/') return {400, "no such path\n"};
  if (held_bytes > kMaxHttpHeldBytes) return {503, "busy\n"};
  return handler(path);
}

// Called when the headers are there and before the body is.
MHD_Result HttpServer::Impl::OnRequest(void* self, MHD_Connection* connection, const char* path, const char* method,
                                       const char* /*version*/, const char* /*body*/, size_t* /*body_size*/,
                                       void** /*context*/) {
  auto& server = *static_cast<Impl*>(self);
  for (auto& one : server.connections) one.answered |= one.socket == SocketOf(connection);
  HttpAnswer answer = server.AnswerTo(connection, path, method);
  auto held = std::make_unique<Held>(&server, std::move(answer.body));
  MHD_Response* response = MHD_create_response_from_buffer_with_free_callback_cls(held->body.size(), held->body.data(),
                                                                                  &OnTaken, held.get());
  if (response == nullptr) return MHD_NO;
  server.held_bytes += held.release()->body.size();
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer.content_type.c_str());
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
  const MHD_Result queued = MHD_queue_response(connection, static_cast<unsigned int>(answer.status), response);
  MHD_destroy_response(response);
  return queued;
}

void HttpServer::Impl::OnTaken(void* held) {
  const std::unique_ptr<Held> taken(static_cast<Held*>(held));
  taken->server->held_bytes -= taken->body.size();
}

// The rounds are run here and not by a thread of the library: its own time-out starts anew with every byte.
void HttpServer::Impl::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const std::int64_t now_ms = NowMs();
    while (!connections.empty() && connections.front().until_ms <= now_ms) Cut(connections.begin());
    MHD_run_wait(daemon, connections.empty() ? -1 : static_cast<std::int32_t>(connections.front().until_ms - now_ms));
  }
}

HttpServer::Impl::~Impl() {
  if (daemon == nullptr) return;
  thread.request_stop();
  // Wakes the thread.
  shutdown(MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_LISTEN_FD)->listen_fd, SHUT_RDWR);
  thread.join();
  MHD_stop_daemon(daemon);
  if (!socket_file.empty()) unlink(socket_file.c_str());
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() = default;

int HttpServer::port() const {
  return impl_->port;
}

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& text, Handler handler) {
  const auto address = ParseAddress(text, kHttpAddress);
  if (!address) return FailWith("http address '" + text + "'", address.error());
  auto bound = address->is_unix() ? BindUnix(text, address->path) : BindTcp(text, *address);
  if (!bound) return std::unexpected(bound.error());
  auto impl = std::make_unique<Impl>();
  impl->socket_file = bound->path;
  impl->port = bound->port;
  impl->handler = std::move(handler);
  impl->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, nullptr, nullptr, &Impl::OnRequest, impl.get(),
                                  MHD_OPTION_LISTEN_SOCKET, bound->socket.Release(), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                  kMaxHttpRequestBytes, MHD_OPTION_CONNECTION_LIMIT, kMaxOpenConnections,
                                  MHD_OPTION_NOTIFY_CONNECTION, &Impl::OnConnection, impl.get(), MHD_OPTION_END);
  if (impl->daemon == nullptr) return Failed(text, errno);
  impl->thread = std::jthread([raw = impl.get()](const std::stop_token& stop) { raw->Run(stop); });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

}  // namespace hearth
