// A small HTTP server for pages that a daemon shows: GET alone, one request for each connection, no body. It is made to
// be reached by anybody: every size, count and time has a bound, and a client that does nothing holds nobody up. It
// serves on a thread of its own until it is destroyed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/address.h"
#include "common/base/result.h"

namespace hearth {

constexpr std::size_t kMaxHttpConnections = 256;  // one more closes the one that has waited longest
constexpr std::size_t kMaxHttpRequestBytes =
    8192;  // of the line and the headers, as the library keeps them; beyond it: 414, 431
constexpr std::size_t kMaxHttpHeldBytes = 8U << 20;  // answers that were not taken yet; beyond it: 503
constexpr std::int64_t kHttpConnectionMs = 3000;     // from the connection to the end of the answer

constexpr AddressForms kHttpAddress{.bare = true};

struct HttpAnswer {
  int status = 200;
  std::string body;
  std::string content_type = "text/plain";
};

class HttpServer {
 public:
  // `path` is decoded (%2F is a slash) and has no query. Called on the server's thread: while it runs, nobody else is
  // answered.
  using Handler = std::function<HttpAnswer(std::string_view path)>;
  // `address` is HOST:PORT, where port 0 takes a free one, or unix:PATH, which this process's account alone can reach.
  // kInvalid: it is none; kUnavailable: nothing can listen there.
  static Result<std::unique_ptr<HttpServer>> Start(const std::string& address, Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  [[nodiscard]] int port() const;  // 0: a Unix socket

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hearth
