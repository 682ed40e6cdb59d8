#include "tools/hearth/manual.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <vector>

#include "tools/hearth/context.h"
#include "tools/hearth/options.h"

namespace hearth::tool {
namespace {

constexpr std::size_t kWidth = 100;  // of a line of help
constexpr std::string_view kHelpName = "-h, --help";
constexpr std::size_t kColumn = 30;  // where what is explained ends

struct ExitCode {
  Exit code;
  std::string_view meaning;
};
constexpr std::array kExitCodes = {
    ExitCode{kFine, "done; of `invoke`: the function ended well; of a batch: every item did"},
    ExitCode{kFailed,
             "it did not work: the function failed, or some items of a batch did, the thing does not exist, the input "
             "is wrong"},
    ExitCode{kUsage, "the command line cannot be understood, or lacks something"},
    ExitCode{kUnreachable, "a server could not be reached"},
    ExitCode{kTimedOut, "the time allowed has passed; what was sent may still be done"},
    ExitCode{kStopped, "the batch was cancelled, or its deadline passed"},
};

constexpr std::array kManual = {
    ManualEntry{"",
                "hearth deploy hello --handler hello.handler examples/hello-python\n"
                "hearth invoke hello --data '{\"name\": \"Ada\"}'",
                ""},
    ManualEntry{"deploy", "hearth deploy hello --runtime python3 --handler hello.handler examples/hello-python",
                R"({"user": text, "name": text, "version": number, "runtime": text, "code": text,
 "code_bytes": number})"},
    ManualEntry{"functions", "hearth --user alice functions",
                R"([{"user": text, "name": text, "version": number, "runtime": text, "handler": text,
  "memory_mib": number, "timeout_ms": number, "max_attempts": number, "code": text,
  "environment": {NAME: null, with --show-secrets the value}}, …])"},
    ManualEntry{"remove", "hearth remove hello", R"({"user": text, "name": text})"},
    ManualEntry{"invoke",
                "hearth invoke hello --data '{\"name\": \"Ada\"}'\n"
                "hearth invoke hello <event.json",
                R"({"id": text, "status": text, "output": text, "output_base64": null, "error_type": text,
 "error_message": text, "attempt": number, "start_path": text, "executor": text, "instance": text,
 "container": text, "acceleration": text, "billed_ms": number, "memory_peak_bytes": number,
 "log": text, "times_us": {STAGE: number}}
an output that is no text: "output" is null, and "output_base64" has it
with --async: {"id": text, "reply_to": text})"},
    ManualEntry{"batch", "hearth batch submit items.jsonl --fn resize --wait", ""},
    ManualEntry{
        "batch submit",
        "hearth batch submit items.jsonl --fn resize --wait --out results.jsonl\n"
        "hearth batch submit --count 1000 --fn simulate --id night-1 --tolerate 5% --deadline 6h",
        R"(an object a line: {"id": text, "user": text, "total": number, "digest": text, "attached": true or false,
 "wait": the command that waits}; with --wait each state after it, as `batch status` has it)"},
    ManualEntry{"batch status", "hearth batch status night-1 --watch",
                R"({"id": text, "user": text, "state": "queued", "running", "paused", "ending" or "ended",
 "outcome": text, "total": number, "counts": {STATUS: number}, …}: the fields of schemas/README.md
with --watch such an object a line, for each change)"},
    ManualEntry{"batch list", "hearth batch list --running", R"([as `batch status`, …])"},
    ManualEntry{"batch results", "hearth batch results night-1 --failed --out failed.jsonl",
                R"(the same with and without --json, an object a line:
{"i": index, "id": the item's own, or null, "status": "ok", "out": JSON or text}
{"i": index, "id": text or null, "status": text, "error_type": text, "error_message": text}
an output that is no text: "out_base64" in place of "out"
an item without a result, as one that was cancelled before it started: "error_type": "NoResult", and a status
that is null where it is not known)"},
    ManualEntry{"batch partition", "hearth --user alice batch partition",
                R"({"user": text, "partition": number, "partitions": number})"},
    ManualEntry{"batch pause", "hearth batch pause night-1", R"(as `batch status`)"},
    ManualEntry{"batch resume", "hearth batch resume night-1", R"(as `batch status`)"},
    ManualEntry{"batch cancel", "hearth batch cancel night-1 --now", R"(as `batch status`)"},
    ManualEntry{"batch set", "hearth batch set night-1 --concurrency 8 --priority 90", R"(as `batch status`)"},
    ManualEntry{"batch redrive", "hearth batch redrive night-1 --status error,timeout --wait",
                R"(as `batch status`; with --wait such an object a line, for each change)"},
    ManualEntry{"why", "hearth why order-7",
                R"({"id": text, "decision": what /decisions/ID of a dispatcher says, or null,
 "reply": {"status": text, "start_path": text, "attempt": number, "why": {NAME: text},
           "times_us": {STAGE: number}, …} or null,
 "looked_at": [text, …], "batch": [text, …], what the user's batches say of it})"},
    ManualEntry{"ps", "hearth ps",
                R"({"executors": [{"id": text, FIELD: text}, …], "slots": [{"user": text, FIELD: text}, …],
 "batches": [as `batch status`, …], the oldest first, or null where Kafka does not answer})"},
    ManualEntry{"pool", "hearth pool status", ""},
    ManualEntry{"pool status", "hearth pool status",
                R"([{"executor": text, "profile": text, "min": number, "max": number, "target": number,
  "ready": number, "starting": number, "assigned": number, "shells": number, …}, …])"},
    ManualEntry{"pool set", "hearth pool set default --min 2 --max 8",
                R"({"profile": text, "executor": text, or null for all, "min": number, or null for as configured,
 "max": the same, "shells": the same})"},
    ManualEntry{"pool advise", "hearth pool advise default --p99 50",
                R"([{"executor": text, "machines": number, "memory_mib": number, "arrivals_per_hour": number,
  "refill_ms": number, "refill_assumed": true or false}, …])"},
    ManualEntry{"status", "hearth status",
                R"({"ok": true or false,
 "checks": [{"what": text, "verdict": "ok", "missing" or "unknown", "address": text or null,
             "found": text, "way_out": text or null}, …]})"},
    ManualEntry{"topics", "hearth topics create", ""},
    ManualEntry{"topics create", "hearth topics create --partitions 24 --replication 3", R"({"created": [text, …]})"},
    ManualEntry{"topics list", "hearth topics list", R"([{"name": text, "partitions": number}, …])"},
    ManualEntry{"help", "hearth help deploy", ""},
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
  if (auto checks = TypeAndChecks(option).second; !checks.empty()) notes.push_back(std::move(checks));
  if (option.get_required() && option.nonpositional()) notes.emplace_back("required");
  if (option.get_expected_max() == CLI::detail::expected_max_vector_size) notes.emplace_back("may be repeated");
  if (const auto text = option.get_default_str(); !text.empty()) notes.push_back("default: " + text);
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
    if (const auto type = TypeAndChecks(*option).first; !type.empty()) name += " " + type;  // a flag has none
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

// A cell of a table: a bar would end it.
std::string Cell(std::string_view text) {
  std::string cell;
  for (const char c : text) cell.append(c == '|' ? "\\" : "").push_back(c);
  return cell;
}

void AppendTable(std::string& page, const std::vector<Row>& rows, const std::string& group) {
  page += fmt::format("\n| {} | |\n| --- | --- |\n", group);
  for (const auto& row : rows) {
    if (row.group == group) page += fmt::format("| `{}` | {} |\n", Cell(row.name), Cell(row.text));
  }
}

std::string Sentence(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

void AppendCode(std::string& page, std::string_view language, std::string_view code) {
  page += fmt::format("\n```{}\n{}\n```\n", language, code);
}

// The command, or those within it.
void AppendCommand(std::string& page, const CLI::App& command) {
  if (command.get_group().empty()) return;
  const auto inner = command.get_subcommands({});
  for (const auto* each : inner) AppendCommand(page, *each);
  if (!inner.empty()) return;
  page += fmt::format("\n### hearth {}\n\n{}.\n", WordsOf(command), Sentence(command.get_description()));
  AppendCode(page, "", UsageOf(command));
  auto rows = RowsOf(command);
  std::erase_if(rows, [](const Row& row) { return row.name == kHelpName; });  // told once, of every command
  for (const auto& group : GroupsOf(rows)) AppendTable(page, rows, group);
  const auto* entry = EntryOf(WordsOf(command));
  if (entry == nullptr) return;
  page += "\nFor example:\n";
  AppendCode(page, "sh", entry->example);
  if (entry->json.empty()) return;
  page += "\nWith `--json`:\n";
  AppendCode(page, "", entry->json);
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

std::vector<std::string> NamesOfCommands(const CLI::App& command) {
  std::vector<std::string> names;
  for (const auto* each : command.get_subcommands({})) {
    if (!each->get_group().empty()) names.push_back(each->get_name());
  }
  return names;
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
    if (!entry->json.empty()) {
      help += "\nWith --json:\n";
      AppendIndented(help, entry->json);
    }
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

std::string Markdown(const CLI::App& app, const Context& context) {
  std::string page =
      "# The command line\n\n"
      "<!-- Generated: hearth help --markdown >docs/cli.md. A unit test compares. -->\n\n"
      "`hearth COMMAND --help` tells the same in a terminal. Options of every command may stand before and behind its "
      "name.\n";
  AppendCode(page, "", UsageOf(app));
  const auto rows = RowsOf(app);
  for (const auto& group : GroupsOf(rows)) AppendTable(page, rows, group);
  page +=
      "\nWith `--json` a command prints one JSON document on its standard output, in ASCII. Names are added in later "
      "versions, and none changes its meaning. Errors are text on the standard error, and the exit code tells them "
      "apart; where a command fails, its standard output is empty unless the document says what failed.\n\n"
      "What takes longer than a second is told on the standard error: on a terminal as one line that vanishes, "
      "elsewhere as a plain line. `--quiet` leaves it out.\n\n"
      "## Exit codes\n\n| code | meaning |\n| ---: | --- |\n";
  for (const auto& each : kExitCodes) page += fmt::format("| {} | {} |\n", each.code + 0, each.meaning);
  page +=
      "\n## Environment\n\nA variable that is set and not empty counts where its option is not given.\n\n"
      "| variable | option | meaning |\n| --- | --- | --- |\n";
  for (const auto* setting : context.Settings()) {
    page += fmt::format("| `{}` | `{} {}` | {} |\n", setting->variable, setting->option, setting->form,
                        Cell(setting->help));
  }
  page += "\n## Commands\n";
  for (const auto* command : app.get_subcommands({})) AppendCommand(page, *command);
  return page;
}

}  // namespace hearth::tool
