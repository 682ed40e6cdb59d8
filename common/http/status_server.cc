#include "common/http/status_server.h"

#include <httplib.h>
#include <prometheus/text_serializer.h>

#include <charconv>
#include <thread>
#include <utility>

namespace hearth {

void Readiness::Set(const std::string& condition, std::string reason) {
  const std::scoped_lock lock(mutex_);
  conditions_[condition] = std::move(reason);
}

void Readiness::Remark(const std::string& name, std::string text) {
  const std::scoped_lock lock(mutex_);
  remarks_[name] = std::move(text);
}

bool Readiness::ready() const {
  const std::scoped_lock lock(mutex_);
  for (const auto& [condition, reason] : conditions_) {
    if (!reason.empty()) return false;
  }
  return true;
}

std::string Readiness::Describe() const {
  const std::scoped_lock lock(mutex_);
  std::string text;
  for (const auto& [condition, reason] : conditions_) {
    text += condition + ": " + (reason.empty() ? "ok" : reason) + "\n";
  }
  for (const auto& [name, remark] : remarks_) text += name + ": " + remark + "\n";
  return text;
}

struct StatusServer::Impl {
  httplib::Server server;
  int port = 0;
  std::jthread thread;
};

StatusServer::StatusServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

StatusServer::~StatusServer() {
  impl_->server.stop();
}

int StatusServer::port() const {
  return impl_->port;
}

Result<std::unique_ptr<StatusServer>> StatusServer::Start(const std::string& address,
                                                          std::shared_ptr<Readiness> readiness,
                                                          std::shared_ptr<prometheus::Registry> registry,
                                                          std::vector<StatusRoute> routes) {
  const auto colon = address.rfind(':');
  int port = -1;
  if (colon != std::string::npos) {
    std::from_chars(address.data() + colon + 1, address.data() + address.size(), port);
  }
  if (port < 0 || port > 65535) return Fail(Code::kInvalid, "http address '" + address + "': expected HOST:PORT");
  auto impl = std::make_unique<Impl>();
  impl->server.Get("/healthz", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("ok\n", "text/plain");
  });
  impl->server.Get("/readyz", [readiness](const httplib::Request&, httplib::Response& response) {
    response.status = readiness->ready() ? 200 : 503;
    response.set_content(readiness->Describe(), "text/plain");
  });
  impl->server.Get("/metrics", [registry](const httplib::Request&, httplib::Response& response) {
    response.set_content(prometheus::TextSerializer().Serialize(registry->Collect()),
                         "text/plain; version=0.0.4; charset=utf-8");
  });
  for (auto& route : routes) {
    impl->server.Get(route.prefix + "([A-Za-z0-9._-]{1,128})",
                     [answer = std::move(route.answer)](const httplib::Request& request, httplib::Response& response) {
                       StatusPage page = answer(request.matches[1].str());
                       response.status = page.status;
                       response.set_content(page.body, page.content_type);
                     });
  }
  impl->server.new_task_queue = [] { return new httplib::ThreadPool(2); };
  // Without SO_REUSEPORT: a port in use must be an error, not a shared port.
  impl->server.set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  const std::string host = address.substr(0, colon);
  if (port == 0) {
    port = impl->server.bind_to_any_port(host.c_str());
  } else if (!impl->server.bind_to_port(host.c_str(), port)) {
    port = -1;
  }
  if (port < 0) return Fail(Code::kUnavailable, "cannot serve http at " + address + ": the port is in use or not ours");
  impl->port = port;
  impl->thread = std::jthread([server = &impl->server] { server->listen_after_bind(); });
  return std::unique_ptr<StatusServer>(new StatusServer(std::move(impl)));
}

}  // namespace hearth
