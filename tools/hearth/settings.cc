#include "tools/hearth/settings.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "tools/hearth/environment.h"

namespace hearth::tool {

std::string Setting::Source() const {
  switch (origin) {
    case Origin::kOption: return fmt::format("{} comes from {}", value, option);
    case Origin::kVariable: return fmt::format("{} comes from {}", value, variable);
    case Origin::kDefault: break;
  }
  return value.empty() ? "nothing names one" : fmt::format("{} is the default", value);
}

std::string Setting::Ways() const {
  return fmt::format("{} {} or {}", option, form, variable);
}

std::string Setting::Another() const {
  return fmt::format("{}; name another with {}", Source(), Ways());
}

void AddSetting(CLI::App& app, Setting& setting, const std::string& group) {
  setting.value = setting.fallback;
  if (auto own = OwnVariable(std::string(setting.variable)); own && !own->empty()) {
    setting.value = std::move(*own);
    setting.origin = Origin::kVariable;
  }
  auto* option = app.add_option_function<std::string>(
      std::string(setting.option),
      [&setting](const std::string& text) {
        setting.value = text;
        setting.origin = Origin::kOption;
      },
      fmt::format("{} [{}]", setting.help, setting.variable));
  option->type_name(std::string(setting.form))->group(group);
  if (!setting.fallback.empty()) option->default_str(std::string(setting.fallback));
}

}  // namespace hearth::tool
