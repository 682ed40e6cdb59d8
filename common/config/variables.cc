#include "common/config/variables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace hearth {
namespace {

constexpr std::string_view kOpen = "${";
constexpr std::string_view kOtherwise = ":-";

bool IsName(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; };
  const auto follows = [&](char c) { return letter(c) || (c >= '0' && c <= '9'); };
  return !text.empty() && letter(text.front()) && std::ranges::all_of(text, follows);
}

// What stands between the braces.
Result<std::string> ValueOf(std::string_view inside, const Environment& environment) {
  const auto otherwise = inside.find(kOtherwise);
  const std::string name(inside.substr(0, otherwise));
  if (!IsName(name)) return Fail(Code::kInvalid, "has a ${ that is not followed by a name and }: $${ is a plain ${");
  auto value = environment(name);
  if (otherwise != std::string_view::npos) {
    return value.value_or("").empty() ? std::string(inside.substr(otherwise + kOtherwise.size())) : *value;
  }
  if (value) return *std::move(value);
  return Fail(Code::kInvalid, fmt::format("needs the environment variable {0}, which is not set: set it, or write "
                                          "${{{0}:-VALUE}} for a default",
                                          name));
}

}  // namespace

std::optional<std::string> ProcessEnvironment(const std::string& name) {
  const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): read before there are threads
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

Result<Expanded> ExpandVariables(std::string_view text, const Environment& environment) {
  Expanded expanded;
  while (!text.empty()) {
    const auto open = text.find(kOpen);
    expanded.text += text.substr(0, open);
    if (open == std::string_view::npos) break;
    text.remove_prefix(open + kOpen.size());
    if (expanded.text.ends_with('$')) {
      expanded.text += '{';
      continue;
    }
    const auto close = text.find('}');
    const auto inside = close == std::string_view::npos ? std::string_view() : text.substr(0, close);
    auto value = ValueOf(inside, environment);
    if (!value) return std::unexpected(value.error());
    if (expanded.text.size() + value->size() > kMaxExpandedBytes) {
      return Fail(Code::kInvalid, fmt::format("has more than {} bytes with its variables", kMaxExpandedBytes));
    }
    expanded.text += *value;
    expanded.has_variables = true;
    text.remove_prefix(close + 1);
  }
  return expanded;
}

}  // namespace hearth
