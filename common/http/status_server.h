// What a daemon shows over HTTP: /healthz (200 while the process serves), /readyz (200, or 503 with the reasons) and
// /metrics (Prometheus text).
#pragma once

#include <prometheus/registry.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace hearth {

// Named conditions that must all hold, and remarks that do not decide. Thread-safe.
class Readiness {
 public:
  // An empty reason: the condition holds.
  void Set(const std::string& condition, std::string reason);
  void Remark(const std::string& name, std::string text);
  [[nodiscard]] bool ready() const;
  // One line for each condition, then the remarks.
  [[nodiscard]] std::string Describe() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> conditions_;  // guarded by mutex_
  std::map<std::string, std::string> remarks_;     // guarded by mutex_
};

// A page beside the fixed ones: GET prefix + argument, where the argument is an identifier (1 to 128 bytes of
// [A-Za-z0-9._-]; anything else is 404). Called on a thread of the server; must answer soon.
struct StatusPage {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
};
struct StatusRoute {
  std::string prefix;  // "/decisions/"
  std::function<StatusPage(const std::string& argument)> answer;
};

// Serves on a thread of its own until destroyed. `address` is HOST:PORT; port 0 takes a free one.
class StatusServer {
 public:
  static Result<std::unique_ptr<StatusServer>> Start(const std::string& address, std::shared_ptr<Readiness> readiness,
                                                     std::shared_ptr<prometheus::Registry> registry,
                                                     std::vector<StatusRoute> routes = {});
  ~StatusServer();
  StatusServer(const StatusServer&) = delete;
  StatusServer& operator=(const StatusServer&) = delete;
  [[nodiscard]] int port() const;

 private:
  struct Impl;
  explicit StatusServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hearth
