#include "tools/hearth/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <algorithm>

#include "schemas/request.h"
#include "tools/hearth/manual.h"
#include "tools/hearth/nearest.h"
#include "tools/hearth/options.h"

namespace hearth::tool {
namespace {

class Help : public CLI::FormatterBase {
 public:
  std::string make_help(const CLI::App* app, std::string /*name*/, CLI::AppFormatMode /*mode*/) const override {
    return HelpOf(*app);
  }
};

// The command that the line has come to.
const CLI::App& Reached(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : Reached(*chosen.back());
}

// What may stand where `command` was reached.
std::vector<std::string> KnownOptions(const CLI::App& command) {
  std::vector<std::string> known;
  for (const auto* app = &command; app != nullptr; app = app->get_parent()) {
    for (const auto* option : app->get_options()) {
      for (const auto& name : option->get_lnames()) known.push_back("--" + name);
    }
  }
  return known;
}

// What is wrong with the line, in one sentence. A mistyped name is behind most of what CLI11 finds missing, so it is
// told first.
std::string Complaint(const CLI::App& app, const CLI::App& reached, const CLI::ParseError& error) {
  const auto left = app.remaining(true);
  const auto option = std::ranges::find_if(left, [](const std::string& word) { return word.starts_with("-"); });
  if (option != left.end()) {
    const std::string name = option->substr(0, option->find('='));
    const auto known = KnownOptions(reached);
    if (std::ranges::find(known, name) != known.end())
      return "the option " + name + " stands behind the command's name";
    return "unknown option " + name + DidYouMean(name, known);
  }
  if (const auto known = NamesOfCommands(reached); !known.empty()) {
    if (!left.empty()) return "unknown command " + left.front() + DidYouMean(left.front(), known);
    if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
      return fmt::format("a command is required: {}", fmt::join(known, ", "));
    }
  }
  if (!left.empty() && dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    return "unexpected word " + left.front();
  }
  return error.what();
}

}  // namespace

CommandLine::CommandLine()
    : app_(std::make_unique<CLI::App>("hearth: deploy and invoke functions that run when events arrive on Kafka",
                                      "hearth")) {
  CLI::App& app = *app_;
  app.formatter(std::make_shared<Help>());
  app.set_help_flag("-h,--help", "show this help");
  app.set_version_flag("--version", "hearth 0.1.0", "show the version");
  app.fallthrough();  // options of every command may stand behind its name
  app.require_subcommand(1);
  for (Setting* each : {&context_.user, &context_.bootstrap, &context_.redis, &context_.redis_user,
                        &context_.redis_password_file, &context_.code_store}) {
    AddSetting(app, *each, "Who and where");
  }
  app.add_flag("--json", context_.json, "print JSON on stdout; errors stay text on stderr");
  app.add_flag("-q,--quiet", context_.quiet, "results and errors only: nothing of what is waited for");
  AddFunctions(app, context_, chosen_);
  AddInvoke(app, context_, chosen_);
  AddBatch(app, context_, chosen_);
  AddWhy(app, context_, chosen_);
  AddPs(app, context_, chosen_);
  AddPool(app, context_, chosen_);
  AddStatus(app, context_, chosen_);
  AddTopics(app, context_, chosen_);
  AddHelp(app, context_, chosen_);
}

CommandLine::~CommandLine() = default;

Asked CommandLine::Parse(const std::vector<std::string>& words) {
  try {
    app_->parse(std::vector<std::string>(words.rbegin(), words.rend()));  // CLI11 takes them from the end
  } catch (const CLI::CallForHelp&) {
    return {nullptr, HelpOf(Reached(*app_)), kFine};
  } catch (const CLI::Success& asked) {  // the version
    return {nullptr, std::string(asked.what()) + "\n", kFine};
  } catch (const CLI::ParseError& error) {
    const CLI::App& reached = Reached(*app_);
    const std::string name = WordsOf(reached).empty() ? "hearth" : "hearth " + WordsOf(reached);
    return {nullptr,
            fmt::format("hearth: {}\n  {} --help tells what there is\n", Shown(Complaint(*app_, reached, error)), name),
            kUsage};
  }
  if (!IsIdentifier(context_.user.value)) {
    return {nullptr,
            fmt::format("hearth: the user must be 1 to 128 of [A-Za-z0-9._-]: {}\n", Shown(context_.user.Source())),
            kUsage};
  }
  return {chosen_, "", kFine};
}

}  // namespace hearth::tool
