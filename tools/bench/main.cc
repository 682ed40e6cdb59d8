// hearth-bench: measurements against a running stack, beside a floor that is measured in the same run.
#include <CLI/CLI.hpp>

#include "tools/bench/warm.h"

int main(int argc, char** argv) {
  CLI::App app{"hearth-bench: measures a running stack beside the floor of the same run"};
  app.require_subcommand(1);
  hearth::bench::WarmOptions options;
  auto* warm = app.add_subcommand("warm", "warm invocations, one at a time, beside raw Kafka echoes");
  warm->add_option("--bootstrap", options.bootstrap, "Kafka brokers")
      ->envname("HEARTH_BOOTSTRAP")
      ->capture_default_str();
  warm->add_option("--user", options.user, "whose function")->capture_default_str();
  warm->add_option("--function", options.function, "a function that does nothing, deployed already")
      ->capture_default_str();
  warm->add_option("--count", options.count, "invocations, and as many echoes")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  warm->add_option("--block", options.block, "invocations, then as many echoes, and so on")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  warm->add_option("--image", options.image, "the guest's image: a machine of it is started and pinged in between")
      ->check(CLI::ExistingDirectory);
  warm->add_flag("--markdown", options.markdown, "tables that can be pasted into docs/performance.md");
  int exit_code = 0;
  warm->callback([&] { exit_code = hearth::bench::RunWarm(options); });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return exit_code;
}
