// hearth help: the same as --help, and docs/cli.md.
#include <algorithm>

#include "tools/hearth/context.h"
#include "tools/hearth/manual.h"
#include "tools/hearth/nearest.h"
#include "tools/hearth/options.h"

namespace hearth::tool {
namespace {

struct Wish {
  std::vector<std::string> words;
  bool markdown = false;
};

int Tell(const CLI::App& app, const Context& context, const Wish& wish) {
  if (wish.markdown) {
    Write(stdout, Markdown(app, context));
    return kFine;
  }
  const CLI::App* command = &app;
  for (const auto& word : wish.words) {
    const auto inner = command->get_subcommands({});
    const auto found = std::ranges::find(inner, word, &CLI::App::get_name);
    if (found == inner.end())
      return ReportUsage("unknown command " + word + DidYouMean(word, NamesOfCommands(*command)));
    command = *found;
  }
  Write(stdout, HelpOf(*command));
  return kFine;
}

}  // namespace

void AddHelp(CLI::App& app, Context& context, Command& chosen) {
  auto wish = std::make_shared<Wish>();
  auto* help = app.add_subcommand("help", "what a command does, with an example");
  help->group(kInstallationCommands);
  help->add_option("command", wish->words, "its words; without any, the whole line")->type_name("COMMAND");
  help->add_flag("--markdown", wish->markdown, "docs/cli.md")->group("");  // hidden
  Choose(*help, chosen, [&app, &context, wish] { return Tell(app, context, *wish); });
}

}  // namespace hearth::tool
