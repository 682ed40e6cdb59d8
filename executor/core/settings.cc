// What the settings say of one user or one function.
#include "executor/core/settings.h"

#include <algorithm>

namespace hearth::executor {

const UserLimits& Settings::LimitsOf(const UserId& user) const {
  static const UserLimits none;
  const auto found = users.find(user);
  return found == users.end() ? none : found->second;
}

std::size_t Settings::ProfileOf(const Function& function) const {
  const auto named = [&](const Profile& profile) { return profile.name == function.profile; };
  return static_cast<std::size_t>(std::ranges::find_if(profiles, named) - profiles.begin());
}

}  // namespace hearth::executor
