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

const Function* Registry::Find(const UserId& user, const FunctionName& name) const {
  const auto known = functions_.find(user);
  if (known == functions_.end()) return nullptr;
  const auto function = known->second.find(name);
  return function == known->second.end() ? nullptr : function->second.get();
}

}  // namespace hearth::dispatcher
