// The registry, by user and name.
#include "executor/core/registry.h"

#include <utility>

namespace hearth::executor {

void Registry::Update(std::shared_ptr<const Function> function) {
  auto& known = functions_[function->user][function->name];
  known = {std::move(function), nullptr};
}

void Registry::Remove(const UserId& user, const FunctionName& name) {
  functions_[user][name] = {};
}

bool Registry::MayRun(const std::shared_ptr<const Function>& function) const {
  const Known* known = Find(function->user, function->name);
  if (known == nullptr) return !whole_;
  if (known->same == function) return true;
  if (known->function == nullptr || *known->function != *function) return false;
  known->same = function;
  return true;
}

bool Registry::IsRetired(const FunctionVersion& function) const {
  const auto& [user, name, version] = function;
  const Known* known = Find(user, name);
  return known != nullptr && (known->function == nullptr || known->function->version > version);
}

const Registry::Known* Registry::Find(const UserId& user, const FunctionName& name) const {
  const auto functions = functions_.find(user);
  if (functions == functions_.end()) return nullptr;
  const auto known = functions->second.find(name);
  return known == functions->second.end() ? nullptr : &known->second;
}

}  // namespace hearth::executor
