// The registry, by user and name.
#include "executor/core/registry.h"

#include <utility>

namespace hearth::executor {

void Registry::Update(std::shared_ptr<const Function> function) {
  auto& known = functions_[function->user][function->name];
  known = std::move(function);
}

void Registry::Remove(const UserId& user, const FunctionName& name) {
  functions_[user][name] = nullptr;
}

bool Registry::MayRun(const Function& function) const {
  const auto* known = Find(function.user, function.name);
  if (known == nullptr) return !whole_;
  return *known != nullptr && **known == function;
}

bool Registry::IsRetired(const FunctionVersion& function) const {
  const auto& [user, name, version] = function;
  const auto* known = Find(user, name);
  return known != nullptr && (*known == nullptr || (*known)->version > version);
}

const std::shared_ptr<const Function>* Registry::Find(const UserId& user, const FunctionName& name) const {
  const auto functions = functions_.find(user);
  if (functions == functions_.end()) return nullptr;
  const auto known = functions->second.find(name);
  return known == functions->second.end() ? nullptr : &known->second;
}

}  // namespace hearth::executor
