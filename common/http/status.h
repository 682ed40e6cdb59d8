// What a daemon shows over HTTP: /healthz (200 while the process serves), /readyz (200, or 503 with the reasons) and
// /metrics (Prometheus text).
#pragma once

#include <prometheus/registry.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "common/base/result.h"
#include "common/http/server.h"

namespace hearth {

// Named conditions that must all hold, and remarks that do not decide. Thread-safe.
class Readiness {
 public:
  // An empty reason: the condition holds.
  void Set(const std::string& condition, std::string reason);
  void Remark(const std::string& name, std::string text);  // an empty text: there is nothing to remark any more
  [[nodiscard]] bool ready() const;
  // One line for each condition, then the remarks.
  [[nodiscard]] std::string Describe() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> conditions_;  // guarded by mutex_
  std::map<std::string, std::string> remarks_;     // guarded by mutex_
};

// Serves the three pages at HOST:PORT until destroyed.
Result<std::unique_ptr<HttpServer>> ServeStatus(const std::string& address, std::shared_ptr<Readiness> readiness,
                                                std::shared_ptr<prometheus::Registry> registry);

}  // namespace hearth
