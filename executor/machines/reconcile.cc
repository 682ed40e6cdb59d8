#include "executor/machines/reconcile.h"

namespace hearth::executor {

ReconcilePlan Reconcile(const std::vector<MarkedDomain>& domains, const ExecutorId& executor,
                        const std::string& incarnation, const std::set<InstanceId>& known,
                        const std::set<InstanceId>& running) {
  ReconcilePlan plan;
  std::set<InstanceId> present;
  for (const auto& domain : domains) {
    if (domain.mark.executor != executor) continue;
    if (domain.mark.incarnation == incarnation && known.contains(domain.mark.instance)) {
      present.insert(domain.mark.instance);
    } else {
      plan.destroy.push_back(domain.name);
    }
  }
  for (const auto& instance : running) {
    if (!present.contains(instance)) plan.missing.push_back(instance);
  }
  return plan;
}

}  // namespace hearth::executor
