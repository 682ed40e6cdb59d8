#include "tools/hearth/manual.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tools/hearth/context.h"
#include "tools/hearth/options.h"

namespace hearth::tool {
namespace {

constexpr std::size_t kWidth = 100;  // of a line of help
constexpr std::size_t kColumn = 30;  // where what is explained ends

struct ExitCode {
  Exit code;
  std::string_view meaning;
};
constexpr std::array kExitCodes = {
    ExitCode{kFine, "done; of `invoke`: the function ended well"},
    ExitCode{kFailed, "it did not work: the function failed, the thing does not exist, the input is wrong"},
    ExitCode{kUsage, "the command line cannot be understood, or lacks something"},
    ExitCode{kUnreachable, "a server could not be reached"},
    ExitCode{kTimedOut, "the time allowed has passed; what was sent may still be done"},
};

constexpr std::array kManual = {
    ManualEntry{"",
                "hearth deploy hello --handler hello.handler examples/hello-python\n"
                "hearth invoke hello --data '{\"name\": \"Ada\"}'"},
    ManualEntry{"deploy", "hearth deploy hello --runtime python3 --handler hello.handler examples/hello-python"},
    ManualEntry{"functions", "hearth --user alice functions"},
    ManualEntry{"remove", "hearth remove hello"},
    ManualEntry{"invoke", "hearth invoke hello --data '{\"name\": \"Ada\"}'\nhearth invoke hello <event.json"},
    ManualEntry{"why", "hearth why order-7"},
    ManualEntry{"ps", "hearth ps"},
    ManualEntry{"pool", "hearth pool status"},
    ManualEntry{"pool status", "hearth pool status"},
    ManualEntry{"pool set", "hearth pool set default --min 2 --max 8"},
    ManualEntry{"pool advise", "hearth pool advise default --p99 50"},
    ManualEntry{"topics", "hearth topics create"},
    ManualEntry{"topics create", "hearth topics create --partitions 24 --replication 3"},
    ManualEntry{"topics list", "hearth topics list"},
};

struct Row {
  std::string group;
  std::string name;
  std::string text;
};

// CLI11 writes the checks of a value behind its type, after a colon.
std::pair<std::string, std::string> TypeAndChecks(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const auto colon = std::min(type.find(':'), type.size());
  return {type.substr(0, colon), type.substr(std::min(colon + 1, type.size()))};
}

std::string Explained(const CLI::Option& option) {
  std::vector<std::string> notes;
  const bool is_flag = option.get_type_size() == 0;
  if (!is_flag) {
    if (auto checks = TypeAndChecks(option).second; !checks.empty()) notes.push_back(std::move(checks));
  }
  if (option.get_required() && option.nonpositional()) notes.emplace_back("required");
  if (option.get_expected_max() == CLI::detail::expected_max_vector_size) notes.emplace_back("may be repeated");
  if (const auto text = option.get_default_str(); !is_flag && !text.empty()) notes.push_back("default: " + text);
  std::string all;
  for (const auto& note : notes) all += (all.empty() ? "" : "; ") + note;
  return option.get_description() + (all.empty() ? "" : " (" + all + ")");
}

std::vector<Row> RowsOf(const CLI::App& command) {
  std::vector<Row> rows;
  for (const auto* option : command.get_options()) {
    if (option->get_positional()) rows.push_back({"Arguments", TypeAndChecks(*option).first, Explained(*option)});
  }
  for (const auto* each : command.get_subcommands({})) {
    if (!each->get_group().empty()) rows.push_back({each->get_group(), each->get_name(), each->get_description()});
  }
  for (const auto* option : command.get_options()) {
    if (!option->nonpositional() || option->get_group().empty()) continue;
    std::string name = option->get_name(false, true);
    if (const auto comma = name.find(','); comma != std::string::npos) name.insert(comma + 1, " ");
    if (option->get_type_size() != 0) name += " " + TypeAndChecks(*option).first;
    rows.push_back({option->get_group(), std::move(name), Explained(*option)});
  }
  return rows;
}

// In the order in which they come first; what every command has comes last.
std::vector<std::string> GroupsOf(const std::vector<Row>& rows) {
  std::vector<std::string> groups;
  for (const auto& row : rows) {
    if (std::ranges::find(groups, row.group) == groups.end()) groups.push_back(row.group);
  }
  std::ranges::stable_partition(groups, [](const std::string& group) { return group != kOptions; });
  return groups;
}

void AppendWrapped(std::string& help, std::string_view text) {
  std::size_t at = kColumn;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    if (at > kColumn && at + 1 + end > kWidth) {
      help.append("\n").append(kColumn, ' ');
      at = kColumn;
    } else if (at > kColumn) {
      help += ' ';
      ++at;
    }
    help += text.substr(0, end);
    at += end;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  help += '\n';
}

void AppendRow(std::string& help, const Row& row) {
  help.append("  ").append(row.name);
  if (row.name.size() + 4 > kColumn) {
    help.append("\n").append(kColumn, ' ');
  } else {
    help.append(kColumn - 2 - row.name.size(), ' ');
  }
  AppendWrapped(help, row.text);
}

std::string UsageOf(const CLI::App& command) {
  std::string usage = "hearth";
  if (const auto words = WordsOf(command); !words.empty()) usage += " " + words;
  usage += " [OPTIONS]";
  if (!command.get_subcommands({}).empty() && command.get_require_subcommand_min() > 0) usage += " COMMAND";
  for (const auto* option : command.get_options()) {
    if (!option->get_positional()) continue;
    std::string name = TypeAndChecks(*option).first;
    if (option->get_expected_max() == CLI::detail::expected_max_vector_size) name += "…";
    usage += option->get_required() ? " " + name : " [" + name + "]";
  }
  return usage;
}

void AppendIndented(std::string& help, std::string_view lines) {
  while (!lines.empty()) {
    const auto end = std::min(lines.find('\n'), lines.size());
    help.append("  ").append(lines.substr(0, end)).append("\n");
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
}

}  // namespace

const ManualEntry* EntryOf(std::string_view command) {
  const auto* entry = std::ranges::find(kManual, command, &ManualEntry::command);
  return entry == kManual.end() ? nullptr : entry;
}

std::string WordsOf(const CLI::App& command) {
  if (command.get_parent() == nullptr) return "";
  const std::string before = WordsOf(*command.get_parent());
  return before.empty() ? command.get_name() : before + " " + command.get_name();
}

std::string HelpOf(const CLI::App& command) {
  const bool is_root = command.get_parent() == nullptr;
  std::string help = command.get_description() + "\n\nUsage: " + UsageOf(command) + "\n";
  const auto rows = RowsOf(command);
  for (const auto& group : GroupsOf(rows)) {
    help.append("\n").append(group).append(":\n");
    for (const auto& row : rows) {
      if (row.group == group) AppendRow(help, row);
    }
  }
  if (const auto* entry = EntryOf(WordsOf(command))) {
    help += "\nExample:\n";
    AppendIndented(help, entry->example);
  }
  if (is_root) {
    help += "\nExit codes:\n";
    for (const auto& each : kExitCodes) AppendRow(help, {"", std::to_string(each.code), std::string(each.meaning)});
    help += "\nhearth COMMAND --help tells of one command.\n";
  } else {
    help +=
        "\nhearth --help tells of the options that every command has (--user, --json, --bootstrap, …) and of exit "
        "codes.\n";
  }
  return help;
}

}  // namespace hearth::tool
