// What the command line has to be told about where it runs: by an option, else by a variable of the environment, else a
// default holds. Messages about a server say which of these named it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace hearth::tool {

enum class Origin : std::uint8_t { kDefault, kVariable, kOption };

struct Setting {
  std::string_view option;
  std::string_view variable;
  std::string_view form;  // of a value, in the help: one word
  std::string_view help;
  std::string_view fallback{};

  std::string value{};
  Origin origin = Origin::kDefault;

  [[nodiscard]] bool empty() const { return value.empty(); }
  // "127.0.0.1:9092 comes from HEARTH_BOOTSTRAP".
  [[nodiscard]] std::string Source() const;
  // "--bootstrap BROKERS or HEARTH_BOOTSTRAP".
  [[nodiscard]] std::string Ways() const;
  // "127.0.0.1:9092 is the default; name another with --bootstrap BROKERS or HEARTH_BOOTSTRAP".
  [[nodiscard]] std::string Another() const;
};

// The option, in the group of the help. The variable counts where it is set and not empty.
void AddSetting(CLI::App& app, Setting& setting, const std::string& group);

}  // namespace hearth::tool
