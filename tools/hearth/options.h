// How commands declare their options, beyond what CLI11 offers.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <utility>

#include "tools/hearth/context.h"

namespace hearth::tool {

// Groups of the help.
inline constexpr const char* kFunctionCommands = "Functions";
inline constexpr const char* kMachineCommands = "Machines";
inline constexpr const char* kInstallationCommands = "Installation";
inline constexpr const char* kOptions = "Options";

inline void Choose(CLI::App& command, Command& chosen, Command what) {
  command.callback([&chosen, what = std::move(what)] { chosen = what; });
}

inline CLI::Validator Between(std::int64_t least, std::int64_t most) {
  CLI::Range range(least, most);
  range.description(fmt::format("{} to {}", least, most));
  return range;
}

// Each use takes one value, so that words behind it are not taken for more of them.
inline CLI::Option* Repeated(CLI::Option* option) {
  return option->allow_extra_args(false);
}

}  // namespace hearth::tool
