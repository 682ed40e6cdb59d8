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

  // Until the registry was read to its end, what it does not contradict may run. What was found to be the same once is
  // not compared again: a link hands out one object for all Execs of a function.
  [[nodiscard]] bool MayRun(const std::shared_ptr<const Function>& function) const;
  // A newer version is known, or the function was removed.
  [[nodiscard]] bool IsRetired(const FunctionVersion& function) const;

 private:
  struct Known {
    std::shared_ptr<const Function> function;  // null: removed
    mutable std::shared_ptr<const Function>
        same;  // was asked for last and found to be the same: no answer depends on it
  };
  [[nodiscard]] const Known* Find(const UserId& user, const FunctionName& name) const;

  std::map<UserId, std::map<FunctionName, Known>> functions_;
  bool whole_ = false;
};

}  // namespace hearth::executor
