#include "dispatcher/core/registry.h"

#include <utility>

namespace hearth::dispatcher {

void Registry::Set(std::shared_ptr<const Function> function) {
  auto& known = functions_[function->user][function->name];
  known = std::move(function);
}

void Registry::Remove(const UserId& user, const FunctionName& name) {
  const auto known = functions_.find(user);
  if (known == functions_.end()) return;
  known->second.erase(name);
  if (known->second.empty()) functions_.erase(known);
}

const std::shared_ptr<const Function>& Registry::Share(const UserId& user, const FunctionName& name) const {
  static const std::shared_ptr<const Function> none;
  const auto known = functions_.find(user);
  if (known == functions_.end()) return none;
  const auto function = known->second.find(name);
  return function == known->second.end() ? none : function->second;
}

}  // namespace hearth::dispatcher
