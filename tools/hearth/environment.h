// The variables of a function: from the command line, from a file, or from this process's own environment. Values stay
// out of messages.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace hearth::tool {

constexpr std::size_t kMaxEnvFileBytes = 64U << 10;

using Variables = std::map<std::string, std::string>;
using Lookup = std::function<std::optional<std::string>(const std::string& name)>;

// "NAME=VALUE", or "NAME" for the value that it has where the command runs. What is there already is replaced.
Result<void> AddVariable(Variables& variables, std::string_view text, const Lookup& own);
// One variable a line, as docker reads such a file: empty lines and those that begin with # are left out, space before
// a name too, and a value is what stands behind the first '=', quotes included. An error names the line.
Result<void> AddVariables(Variables& variables, std::string_view text, const Lookup& own);
Result<void> AddVariablesOfFile(Variables& variables, const std::string& file, const Lookup& own);
// Of this process.
std::optional<std::string> OwnVariable(const std::string& name);

}  // namespace hearth::tool
