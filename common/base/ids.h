// Distinct types for names, so that a machine cannot be passed where an executor is meant.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>

namespace hearth {

template <class Tag>
struct Id {
  std::string value;

  Id() = default;
  explicit Id(std::string text) : value(std::move(text)) {}
  explicit Id(std::string_view text) : value(text) {}
  explicit Id(const char* text) : value(text) {}

  [[nodiscard]] bool empty() const { return value.empty(); }
  [[nodiscard]] const std::string& str() const { return value; }
  friend auto operator<=>(const Id&, const Id&) = default;
};

using UserId = Id<struct UserTag>;
using FunctionName = Id<struct FunctionTag>;
using InvocationId = Id<struct InvocationTag>;
using ExecutorId = Id<struct ExecutorTag>;
using DispatcherId = Id<struct DispatcherTag>;
using MachineId = Id<struct MachineTag>;      // one machine (libvirt domain), unique for ever
using ContainerId = Id<struct ContainerTag>;  // "<machine>/<number>"
using BatchId = Id<struct BatchTag>;          // of a user's batch
using CodeHash = Id<struct CodeTag>;          // SHA-256 of the code archive, lower-case hex

}  // namespace hearth

template <class Tag>
struct std::hash<hearth::Id<Tag>> {
  std::size_t operator()(const hearth::Id<Tag>& id) const noexcept { return std::hash<std::string>{}(id.value); }
};
