// hearth-bench: measurements against a running stack, beside a floor that is measured in the same run.
#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include "schemas/limits.h"
#include "tools/bench/batch.h"
#include "tools/bench/boot.h"
#include "tools/bench/chaos.h"
#include "tools/bench/clone.h"
#include "tools/bench/core.h"
#include "tools/bench/density.h"
#include "tools/bench/drive.h"
#include "tools/bench/flood.h"
#include "tools/bench/link.h"
#include "tools/bench/load.h"
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

// Of daemons whose machines are simulated: they need neither libvirt nor an image.
void AddSimulatedStack(CLI::App& bench, OwnStackOptions& options, int& executors) {
  bench.add_option("--bootstrap", options.bootstrap, "Kafka brokers")->envname("HEARTH_BOOTSTRAP")->required();
  bench.add_option("--bin", options.bin, "folder of the daemons")->check(CLI::ExistingDirectory)->required();
  bench.add_option("--dispatchers", options.dispatchers, "how many")->check(CLI::Range(1, 16))->capture_default_str();
  bench.add_option("--executors", executors, "how many")->check(CLI::Range(1, 64))->capture_default_str();
}

void AddDrive(CLI::App& app, DriveOptions& options, int& exit_code) {
  auto* drive = app.add_subcommand("drive", "keeps records under way to somebody who answers on another topic: a peer");
  drive->add_option("--bootstrap", options.bootstrap, "Kafka brokers")->envname("HEARTH_BOOTSTRAP")->required();
  drive->add_option("--requests", options.requests, "the topic that is written")->required();
  drive->add_option("--replies", options.replies, "the topic of answers, which have the keys of their requests")
      ->required();
  drive->add_flag("--create", options.create, "makes the topics, and nothing else");
  drive->add_option("--seconds", options.seconds, "how long")->check(CLI::Range(0.1, 3'600.0))->capture_default_str();
  drive->add_option("--in-flight", options.in_flight, "records under way")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  drive->callback([&] { exit_code = RunDrive(options); });
}

constexpr const char* kAboutTime = "ms: 5, uniform:1..10 or exponential:5 (its mean)";

void AddLoad(CLI::App& app, LoadOptions& options, int& exit_code) {
  constexpr double kQuickSeconds = 1;
  auto* load = app.add_subcommand("load", "invocations a second, and what each costs, on simulated machines");
  AddSimulatedStack(*load, options.stack, options.executors);
  load->add_option("--broker-pid", options.broker, "the broker's process, to be measured too");
  load->add_option("--users", options.users, "users, in turn")->check(CLI::Range(1, 100'000))->capture_default_str();
  load->add_option("--functions", options.functions, "of each user")
      ->check(CLI::Range(1, 1'000))
      ->capture_default_str();
  auto* in_flight = load->add_option("--in-flight", options.in_flight, "closed loop: records under way")
                        ->check(CLI::Range(1, 100'000))
                        ->capture_default_str();
  load->add_option("--rate", options.rate, "open loop: records a second, whatever comes back")
      ->check(CLI::Range(0.1, 1e6))
      ->excludes(in_flight);
  auto* seconds = load->add_option("--seconds", options.seconds, "of hearth, and as many of the echo")
                      ->check(CLI::Range(0.1, 3'600.0))
                      ->capture_default_str();
  auto* warm_up = load->add_option("--warm-up", options.warm_up, "seconds of load that do not count")
                      ->check(CLI::Range(0.1, 3'600.0))
                      ->capture_default_str();
  load->add_option("--keys", options.keys, "keys of records")
      ->check(CLI::IsMember({"user", "random"}))
      ->capture_default_str();
  load->add_option("--class", options.request_class, "rt, std, batch, or mixed: one after the other")
      ->check(CLI::IsMember({"rt", "std", "batch", "mixed"}))
      ->capture_default_str();
  load->add_option("--payload", options.payload, "bytes of an input")
      ->check(CLI::Range(0, static_cast<int>(kMaxPayloadBytes)))
      ->capture_default_str();
  load->add_option("--output", options.output, "bytes of a result")
      ->check(CLI::Range(0, static_cast<int>(kMaxOutputBytes)))
      ->capture_default_str();
  load->add_option("--start", options.start, std::string("until a machine is ready, ") + kAboutTime)
      ->capture_default_str();
  load->add_option("--container", options.container, std::string("until a container is made, ") + kAboutTime)
      ->capture_default_str();
  load->add_option("--run", options.run, std::string("that a run takes, ") + kAboutTime)->capture_default_str();
  load->add_flag("--refused", options.refused, "records that are refused at intake: the class is not granted");
  load->add_flag("!--no-system-calls", options.system_calls, "do not count system calls by strace");
  load->add_flag("--json", options.json, "figures as JSON");
  load->add_flag("--quick", options.quick, "1 s of each: whether it works, no figures");
  load->add_flag("--strict", options.strict, "exit 1 where a bound is not held");
  AddMarkdown(*load, options.markdown);
  load->callback([&options, &exit_code, seconds, warm_up] {
    if (options.quick && seconds->count() == 0) options.seconds = kQuickSeconds;
    if (options.quick && warm_up->count() == 0) options.warm_up = kQuickSeconds;
    exit_code = RunLoad(options);
  });
}

void AddFlood(CLI::App& app, FloodOptions& options, int& exit_code) {
  constexpr int kLargeRecords = 1'000;
  auto* flood = app.add_subcommand("flood", "one user floods; what another one notices");
  AddSimulatedStack(*flood, options.stack, options.executors);
  flood->add_option("--broker-pid", options.broker)->group("");
  auto* real = flood->add_flag("--real", options.real, "real machines instead of simulated ones");
  flood->add_option("--libvirt", options.stack.libvirt, "libvirt's URI")->envname("HEARTH_LIBVIRT_URI");
  flood->add_option("--image", options.stack.image, "the guest's image")->check(CLI::ExistingDirectory);
  flood
      ->add_option_function<std::string>(
          "--case",
          [&options](const std::string& name) { options.which = FindFloodCase(name).value_or(options.which); },
          "what the flood is of: docs/benchmarks/flood.md")
      ->check(CLI::IsMember(FloodCaseNames()))
      ->default_str("plain");
  auto* records = flood->add_option("--records", options.records, "of the flood")
                      ->check(CLI::Range(1, 100'000'000))
                      ->capture_default_str();
  flood->add_flag("--long", options.large, "a million records")->excludes(records);
  auto* payload = flood->add_option("--payload", options.payload, "bytes of each")
                      ->check(CLI::Range(0, static_cast<int>(kMaxPayloadBytes)))
                      ->capture_default_str();
  flood->add_option("--rate", options.rate, "records a second of the other user")
      ->check(CLI::Range(0.1, 10'000.0))
      ->capture_default_str();
  flood->add_option("--before", options.before, "seconds of the other user alone")
      ->check(CLI::Range(1.0, 3'600.0))
      ->capture_default_str();
  flood->add_option("--expires", options.expires_s, "seconds after which a record of the flood expires; 0: never")
      ->check(CLI::Range(0.0, 36'000.0))
      ->capture_default_str();
  flood->add_option("--most-seconds", options.most_seconds, "of the flood; what is not answered by then is left")
      ->check(CLI::Range(1.0, 36'000.0))
      ->capture_default_str();
  flood->add_option("--credit", options.credit, "of each executor, simulated machines only")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str()
      ->excludes(real);
  flood->add_option("--run", options.run, std::string("that a run takes, simulated machines only, ") + kAboutTime)
      ->capture_default_str()
      ->excludes(real);
  flood->add_flag("--json", options.json, "figures as JSON");
  flood->add_flag("--strict", options.strict, "exit 1 where a bound is not held");
  AddMarkdown(*flood, options.markdown);
  flood->callback([&options, &exit_code, records, payload] {
    if (options.real && (options.stack.image.empty() || options.stack.libvirt.empty()))
      throw CLI::RequiredError("--real: --libvirt and --image");
    if (options.real && options.which == FloodCase::kFailing)
      throw CLI::ValidationError("--case failing",
                                 "machines have to be simulated: their runs fail because they are told to");
    if (options.which == FloodCase::kLarge) {
      if (options.large) throw CLI::ValidationError("--case large", "a million such records are a terabyte");
      if (records->count() == 0) options.records = kLargeRecords;
      if (payload->count() == 0) options.payload = kLargePayload;
    }
    exit_code = RunFlood(options);
  });
}

// What a batch of items that do nothing has, whatever is measured of it. Gives back the option of the number of items.
template <class Options>
CLI::Option* AddBatchOfNoOps(CLI::App& app, Options& options) {
  AddSimulatedStack(app, options.stack, options.executors);
  app.add_option_function<int>("--broker-pid", [](int) {})->group("");
  app.add_option("--payload", options.payload, "bytes of each item")
      ->check(CLI::Range(0, static_cast<int>(kMaxPayloadBytes)))
      ->capture_default_str();
  app.add_option("--most-seconds", options.most_seconds, "that the batch may take")
      ->check(CLI::Range(1.0, 36'000.0))
      ->capture_default_str();
  app.add_option("--credit", options.credit, "of each executor")->check(CLI::Range(1, 100'000))->capture_default_str();
  app.add_option("--run", options.run, std::string("that a run takes, ") + kAboutTime)->capture_default_str();
  return app.add_option("--items", options.items, "of the batch")
      ->check(CLI::Range(std::int64_t{1}, kMaxBatchItems))
      ->capture_default_str();
}

void AddBatch(CLI::App& app, BatchOptions& options, int& exit_code) {
  auto* batch =
      app.add_subcommand("batch", "a batch of items that do nothing; how fast it runs, and what another user notices");
  auto* items = AddBatchOfNoOps(*batch, options);
  batch->add_flag("--long", options.large, "a million items")->excludes(items);
  batch->add_flag("--counted", options.counted, "nothing is stored: the payload of item i is its number");
  batch->add_option("--rate", options.rate, "requests a second of the other user")
      ->check(CLI::Range(0.1, 10'000.0))
      ->capture_default_str();
  batch->add_option("--before", options.before, "seconds of the other user alone")
      ->check(CLI::Range(1.0, 3'600.0))
      ->capture_default_str();
  batch->add_flag("--strict", options.strict, "exit 1 where a bound is not held");
  AddMarkdown(*batch, options.markdown);
  batch->callback([&options, &exit_code] { exit_code = RunBatch(options); });
}

void AddChaos(CLI::App& app, ChaosOptions& options, int& exit_code) {
  constexpr int kLeastSessionMs = 1000;  // as a dispatcher's configuration
  constexpr int kMostSessionMs = 60'000;
  auto* chaos = app.add_subcommand("chaos", "a batch whose dispatcher is killed again and again; what must hold holds");
  options.stack.dispatchers = 2;
  AddBatchOfNoOps(*chaos, options);
  chaos->add_option_function<std::string>(
           "--only", [](const std::string&) {}, "which of them: there is one")
      ->check(CLI::IsMember({"batch"}))
      ->type_name("NAME");
  chaos->add_option("--every", options.every, "seconds between two kills")
      ->check(CLI::Range(0.5, 3'600.0))
      ->capture_default_str();
  const std::map<std::string, TakeOver> take_overs = {
      {"again", TakeOver::kAgain}, {"other", TakeOver::kOther}, {"both", TakeOver::kBoth}};
  chaos
      ->add_option("--take-over", options.take_over,
                   "again: the killed one is started at once; other: another one has to take over; both: in turn")
      ->transform(CLI::CheckedTransformer(take_overs))
      ->default_str("both");
  chaos->add_option("--session", options.stack.session_timeout_ms, "ms, of dispatchers; 3000 where absent")
      ->check(CLI::Range(kLeastSessionMs, kMostSessionMs));
  chaos->add_option("--logs", options.logs, "a folder for the daemons' logs where something does not hold");
  chaos->add_flag("--json", options.json, "figures as JSON");
  AddMarkdown(*chaos, options.markdown);
  chaos->callback([&options, &exit_code] { exit_code = RunChaos(options); });
}

void AddCore(CLI::App& app, CoreOptions& options, int& exit_code) {
  constexpr int kQuickSamples = 200;
  auto* core = app.add_subcommand("core", "what the steps of both cores take, without input and output");
  auto* samples = core->add_option("--samples", options.samples, "of each kind of step")
                      ->check(CLI::Range(1, 10'000'000))
                      ->capture_default_str();
  core->add_option("--most-seconds", options.most_seconds, "to fill a world, and to measure it")
      ->check(CLI::Range(0.1, 36'000.0))
      ->capture_default_str();
  core->add_flag("--long", options.large, "a million users and a million waiting records too");
  core->add_flag("--quick", options.quick, "small worlds, few samples: whether it works, no figures");
  core->add_flag("--json", options.json, "figures as JSON");
  core->add_flag("--strict", options.strict, "exit 1 where a bound is not held");
  AddMarkdown(*core, options.markdown);
  core->callback([&options, &exit_code, samples] {
    if (options.quick && samples->count() == 0) options.samples = kQuickSamples;
    exit_code = RunCore(options);
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
  BatchOptions batch;
  AddBatch(app, batch, exit_code);
  ChaosOptions chaos;
  AddChaos(app, chaos, exit_code);
  FloodOptions flood;
  AddFlood(app, flood, exit_code);
  CoreOptions core;
  AddCore(app, core, exit_code);
  LoadOptions load;
  AddLoad(app, load, exit_code);
  DriveOptions drive;
  AddDrive(app, drive, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return exit_code;
}
