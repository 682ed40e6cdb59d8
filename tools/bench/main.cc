// hearth-bench: measurements against a running stack, beside a floor that is measured in the same run.
#include <CLI/CLI.hpp>

#include "tools/bench/boot.h"
#include "tools/bench/clone.h"
#include "tools/bench/density.h"
#include "tools/bench/link.h"
#include "tools/bench/paths.h"
#include "tools/bench/warm.h"

namespace hearth::bench {
namespace {

void AddMarkdown(CLI::App& bench, bool& markdown) {
  bench.add_flag("--markdown", markdown, "tables that can be pasted into docs/benchmarks");
}

void AddWarm(CLI::App& app, WarmOptions& options, int& exit_code) {
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
  AddMarkdown(*warm, options.markdown);
  warm->callback([&] { exit_code = RunWarm(options); });
}

void AddStack(CLI::App& bench, OwnStackOptions& options) {
  bench.add_option("--bootstrap", options.bootstrap, "Kafka brokers")->envname("HEARTH_BOOTSTRAP")->required();
  bench.add_option("--libvirt", options.libvirt, "libvirt's URI")->envname("HEARTH_LIBVIRT_URI")->required();
  bench.add_option("--image", options.image, "the guest's image")->check(CLI::ExistingDirectory)->required();
  bench.add_option("--bin", options.bin, "folder of the daemons")->check(CLI::ExistingDirectory)->required();
}

constexpr int kQuickCount = 5;

void AddPaths(CLI::App& app, PathsOptions& options, int& exit_code) {
  auto* paths = app.add_subcommand("paths", "each start path, forced, beside its floor");
  AddStack(*paths, options.stack);
  paths->add_option("--python", options.python, "a folder with noop.py that does nothing")
      ->check(CLI::ExistingDirectory)
      ->required();
  paths->add_option("--native", options.native, "a static executable that does next to nothing")
      ->check(CLI::ExistingFile)
      ->required();
  paths->add_option("--machine-logs", options.machine_logs, "libvirt's logs of machines")->required();
  auto* rounds = paths->add_option("--rounds", options.rounds, "samples of each path and runtime")
                     ->check(CLI::Range(1, 10'000))
                     ->capture_default_str();
  auto* boots = paths->add_option("--boots", options.boots, "of the path boot")
                    ->check(CLI::Range(1, 10'000))
                    ->capture_default_str();
  paths->add_flag("--quick", options.quick, "5 of each: whether it works, no figures");
  paths->add_flag("--strict", options.strict, "exit 1 where a bound is not held");
  AddMarkdown(*paths, options.markdown);
  paths->callback([&options, &exit_code, rounds, boots] {
    if (options.quick && rounds->count() == 0) options.rounds = kQuickCount;
    if (options.quick && boots->count() == 0) options.boots = kQuickCount;
    exit_code = RunPaths(options);
  });
}

void AddBoot(CLI::App& app, BootOptions& options, int& exit_code) {
  auto* boot = app.add_subcommand("boot", "where the time of a start goes, beside QEMU by hand");
  boot->add_option("--image", options.image, "the guest's image")->check(CLI::ExistingDirectory)->required();
  auto* starts = boot->add_option("--starts", options.starts, "pairs of starts")
                     ->check(CLI::Range(1, 10'000))
                     ->capture_default_str();
  auto* clones = boot->add_option("--clones", options.clones, "shells and activations")
                     ->check(CLI::Range(1, 10'000))
                     ->capture_default_str();
  auto* phases = boot->add_option("--phases", options.phases, "starts with the kernel's log")
                     ->check(CLI::Range(1, 1'000))
                     ->capture_default_str();
  boot->add_flag("--quick", options.quick, "few of each: whether it works, no figures");
  boot->add_flag("--strict", options.strict, "exit 1 where a bound is not held");
  AddMarkdown(*boot, options.markdown);
  boot->callback([&options, &exit_code, starts, clones, phases] {
    if (options.quick && starts->count() == 0) options.starts = kQuickCount;
    if (options.quick && clones->count() == 0) options.clones = kQuickCount;
    if (options.quick && phases->count() == 0) options.phases = 1;
    exit_code = RunBoot(options);
  });
}

void AddClone(CLI::App& app, CloneOptions& options, int& exit_code) {
  auto* clone = app.add_subcommand("clone", "a fresh clone until its first instruction of user code, step by step");
  clone->add_option("--image", options.image, "the guest's image")->check(CLI::ExistingDirectory)->required();
  clone->add_option("--python", options.python, "a folder with noop.py that does nothing")
      ->check(CLI::ExistingDirectory)
      ->required();
  clone->add_option("--native", options.native, "a static executable that does next to nothing")
      ->check(CLI::ExistingFile)
      ->required();
  auto* clones = clone->add_option("--clones", options.clones, "of each runtime")
                     ->check(CLI::Range(1, 10'000))
                     ->capture_default_str();
  clone->add_flag("--quick", options.quick, "few of each: whether it works, no figures");
  AddMarkdown(*clone, options.markdown);
  clone->callback([&options, &exit_code, clones] {
    if (options.quick && clones->count() == 0) options.clones = kQuickCount;
    exit_code = RunClone(options);
  });
}

void AddDensity(CLI::App& app, DensityOptions& options, int& exit_code) {
  auto* density = app.add_subcommand("density", "what many idle machines of one template cost");
  AddStack(*density, options.stack);
  auto* machines = density->add_option("--machines", options.machines, "how many")
                       ->check(CLI::Range(1, 1'000))
                       ->capture_default_str();
  auto* seconds = density->add_option("--seconds", options.seconds, "over which the processor's time is taken")
                      ->check(CLI::Range(1, 3'600))
                      ->capture_default_str();
  density->add_option("--through", options.through, "clones by hand, an executor's pool, or one after the other")
      ->check(CLI::IsMember({"hand", "executor", "both"}))
      ->capture_default_str();
  density->add_flag("--quick", options.quick, "5 machines over 5 s: whether it works, no figures");
  density->add_flag("--strict", options.strict, "exit 1 where a bound is not held");
  AddMarkdown(*density, options.markdown);
  density->callback([&options, &exit_code, machines, seconds] {
    if (options.quick && machines->count() == 0) options.machines = kQuickCount;
    if (options.quick && seconds->count() == 0) options.seconds = kQuickCount;
    exit_code = RunDensity(options);
  });
}

void AddLink(CLI::App& app, LinkOptions& options, int& exit_code) {
  constexpr int kQuickPings = 100;
  auto* link = app.add_subcommand("link", "a round trip through the executor's guest link beside a bare one");
  link->add_option("--image", options.image, "the guest's image")->check(CLI::ExistingDirectory)->required();
  auto* pings =
      link->add_option("--pings", options.pings, "pairs")->check(CLI::Range(1, 10'000'000))->capture_default_str();
  link->add_flag("--quick", options.quick, "100 pairs: whether it works, no figures");
  link->add_flag("--strict", options.strict, "exit 1 where the bound is not held");
  AddMarkdown(*link, options.markdown);
  link->callback([&options, &exit_code, pings] {
    if (options.quick && pings->count() == 0) options.pings = kQuickPings;
    exit_code = RunLink(options);
  });
}

}  // namespace
}  // namespace hearth::bench

int main(int argc, char** argv) {
  using namespace hearth::bench;
  CLI::App app{"hearth-bench: measures a running stack beside the floor of the same run"};
  app.require_subcommand(1);
  int exit_code = 0;
  WarmOptions warm;
  AddWarm(app, warm, exit_code);
  PathsOptions paths;
  AddPaths(app, paths, exit_code);
  BootOptions boot;
  AddBoot(app, boot, exit_code);
  CloneOptions clone;
  AddClone(app, clone, exit_code);
  DensityOptions density;
  AddDensity(app, density, exit_code);
  LinkOptions link;
  AddLink(app, link, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return exit_code;
}
