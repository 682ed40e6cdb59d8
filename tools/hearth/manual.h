// What the command line tells about itself: the help of each command, and docs/cli.md. Pure, but for the terminal's
// absence: the same text everywhere.
#pragma once

#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace hearth::tool {

// What CLI11 does not know of a command. `command`: its words, "" for `hearth` itself.
struct ManualEntry {
  std::string_view command;
  std::string_view example;  // one command a line
};
// Null where there is none.
const ManualEntry* EntryOf(std::string_view command);

// The words that name the command, without `hearth`: "pool set".
std::string WordsOf(const CLI::App& command);

// The text of --help.
std::string HelpOf(const CLI::App& command);
// docs/cli.md: every command of the line.
std::string Markdown(const CLI::App& app);

}  // namespace hearth::tool
