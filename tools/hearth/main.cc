// hearth: the command line for people who deploy and invoke functions.
#include <CLI/CLI.hpp>

#include "tools/hearth/context.h"

int main(int argc, char** argv) {
  using namespace hearth::tool;
  CLI::App app{"hearth: deploy and invoke functions that run when events arrive on Kafka"};
  Context context;
  app.add_option("--bootstrap", context.bootstrap, "Kafka brokers, HOST:PORT[,…]")
      ->envname("HEARTH_BOOTSTRAP")
      ->capture_default_str();
  app.add_option("--redis", context.redis, "Redis, unix:PATH or tcp:HOST:PORT")->envname("HEARTH_REDIS");
  app.add_option("--redis-user", context.redis_user, "the account there; without it, Redis's default one")
      ->envname("HEARTH_REDIS_USER");
  app.add_option("--redis-password-file", context.redis_password_file, "its first line is the account's password")
      ->envname("HEARTH_REDIS_PASSWORD_FILE");
  app.add_option("--code-store", context.code_store, "folder of the code archives")->envname("HEARTH_CODE_STORE");
  app.add_option("--user", context.user, "whose functions")->envname("HEARTH_USER")->capture_default_str();
  app.add_flag("--json", context.json, "print JSON");
  app.set_version_flag("--version", "hearth 0.1.0");
  app.require_subcommand(1);
  app.fallthrough();
  int exit_code = kFine;
  AddTopics(app, context, exit_code);
  AddFunctions(app, context, exit_code);
  AddInvoke(app, context, exit_code);
  AddPool(app, context, exit_code);
  AddPs(app, context, exit_code);
  AddWhy(app, context, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kFine : kUsage;
  }
  return exit_code;
}
