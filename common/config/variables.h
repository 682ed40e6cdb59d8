// Variables of the environment in the values of a configuration:
//
//   ${NAME}           the variable's value; that it is not set is an error
//   ${NAME:-default}  the text after :- where the variable is not set or empty
//   $${               the two characters ${
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace hearth {

constexpr std::size_t kMaxExpandedBytes = 64U << 10;

// The value of a variable, or nothing where it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
std::optional<std::string> ProcessEnvironment(const std::string& name);

struct Expanded {
  std::string text;
  bool has_variables = false;
};
// kInvalid: a variable is not set, a ${ is not closed or names nothing, or the result is longer than kMaxExpandedBytes.
// No message repeats a value.
Result<Expanded> ExpandVariables(std::string_view text, const Environment& environment);

}  // namespace hearth
