// What the command line tells about itself: the help of each command, and docs/cli.md. Pure, but for the terminal's
// absence: the same text everywhere.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace hearth::tool {

struct Context;

// What CLI11 does not know of a command. `command`: its words, "" for `hearth` itself.
struct ManualEntry {
  std::string_view command;
  std::string_view example;  // one command a line
  std::string_view json;     // what --json prints: names, and what stands there
};
// Null where there is none.
const ManualEntry* EntryOf(std::string_view command);

// The words that name the command, without `hearth`: "pool set".
std::string WordsOf(const CLI::App& command);
// What may stand behind it.
std::vector<std::string> NamesOfCommands(const CLI::App& command);

// The text of --help.
std::string HelpOf(const CLI::App& command);
// docs/cli.md: every command of the line, and the variables of the settings.
std::string Markdown(const CLI::App& app, const Context& context);

}  // namespace hearth::tool
