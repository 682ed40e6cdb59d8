#include "executor/machines/reconcile.h"

namespace hearth::executor {

ReconcilePlan Reconcile(const std::vector<MarkedDomain>& domains, const ExecutorId& executor,
                        const std::string& incarnation, const std::set<std::string>& known,
                        const std::set<std::string>& running) {
  ReconcilePlan plan;
  std::set<std::string> present;
  for (const auto& domain : domains) {
    if (domain.mark.executor != executor) continue;
    if (domain.mark.incarnation == incarnation && known.contains(domain.name)) {
      present.insert(domain.name);
    } else {
      plan.destroy.push_back(domain.name);
    }
  }
  for (const auto& name : running) {
    if (!present.contains(name)) plan.missing.push_back(name);
  }
  return plan;
}

}  // namespace hearth::executor
