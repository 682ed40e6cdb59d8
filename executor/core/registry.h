// The registry of functions as far as it was read. What is asked to run has to be what it says: a dispatcher cannot
// bring code, a handler or variables of its own into a user's machine.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "common/base/ids.h"
#include "executor/core/keys.h"
#include "schemas/function.h"

namespace hearth::executor {

class Registry {
 public:
  void Update(std::shared_ptr<const Function> function);
  void Remove(const UserId& user, const FunctionName& name);
  // All that was written before the executor started is known: from now on what is not known does not exist.
  void CaughtUp() { whole_ = true; }

  // Until the registry was read to its end, what it does not contradict may run.
  [[nodiscard]] bool MayRun(const Function& function) const;
  // A newer version is known, or the function was removed.
  [[nodiscard]] bool IsRetired(const FunctionVersion& function) const;

 private:
  // Null: removed.
  [[nodiscard]] const std::shared_ptr<const Function>* Find(const UserId& user, const FunctionName& name) const;

  std::map<UserId, std::map<FunctionName, std::shared_ptr<const Function>>> functions_;
  bool whole_ = false;
};

}  // namespace hearth::executor
