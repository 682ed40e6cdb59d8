#include "common/http/status.h"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "common/metrics/process.h"

namespace hearth {

void Readiness::Set(const std::string& condition, std::string reason) {
  const std::scoped_lock lock(mutex_);
  conditions_[condition] = std::move(reason);
}

void Readiness::Remark(const std::string& name, std::string text) {
  const std::scoped_lock lock(mutex_);
  if (text.empty()) {
    remarks_.erase(name);
  } else {
    remarks_[name] = std::move(text);
  }
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

Result<std::unique_ptr<HttpServer>> ServeStatus(const std::string& address, std::shared_ptr<Readiness> readiness,
                                                std::shared_ptr<prometheus::Registry> registry) {
  return HttpServer::Start(
      address, [readiness = std::move(readiness), registry = std::move(registry)](std::string_view path) -> HttpAnswer {
        if (path == "/healthz") return {200, "ok\n"};
        if (path == "/readyz") return {readiness->ready() ? 200 : 503, readiness->Describe()};
        if (path == "/metrics") {
          std::vector<prometheus::MetricFamily> families = registry->Collect();
          std::ranges::move(ProcessFamilies(), std::back_inserter(families));
          return {200, prometheus::TextSerializer().Serialize(families), "text/plain; version=0.0.4; charset=utf-8"};
        }
        return {404, "no such page\n"};
      });
}

}  // namespace hearth
