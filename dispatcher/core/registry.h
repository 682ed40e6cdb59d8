// The functions that are deployed, as the registry has told so far.
#pragma once

#include <map>
#include <memory>

#include "common/base/ids.h"
#include "schemas/function.h"

namespace hearth::dispatcher {

class Registry {
 public:
  void Set(std::shared_ptr<const Function> function);
  void Remove(const UserId& user, const FunctionName& name);
  // Null: nobody has deployed it as far as we know. The pointer holds until the next Set or Remove.
  [[nodiscard]] const Function* Find(const UserId& user, const FunctionName& name) const {
    return Share(user, name).get();
  }
  // The same, to be kept.
  [[nodiscard]] const std::shared_ptr<const Function>& Share(const UserId& user, const FunctionName& name) const;

 private:
  std::map<UserId, std::map<FunctionName, std::shared_ptr<const Function>>> functions_;
};

}  // namespace hearth::dispatcher
