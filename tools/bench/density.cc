#include "tools/bench/density.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "common/base/time.h"
#include "tools/bench/figures.h"
#include "tools/bench/hand.h"
#include "tools/machine/template.h"

namespace hearth::bench {
namespace {

constexpr const char* kProfile = "bench-density";
constexpr const char* kExecutor = "bench-density";
constexpr int kMemoryMib = 512;
constexpr std::chrono::seconds kSettle{5};  // what an activation leaves to do is not idleness
constexpr std::int64_t kMachineWithinMs = 10'000;
constexpr std::int64_t kQuietMs = 120'000;

// Machines at rest.
struct Idle {
  std::size_t machines = 0;
  double cpu_mean = 0;  // % of a core
  double cpu_max = 0;
  double pss_mean = 0;  // MB
  double pss_max = 0;
  double executor_rss = 0;  // MiB; 0: no executor
};

double Megabytes(std::int64_t kib) {
  return static_cast<double>(kib) * 1024 / 1e6;
}

Result<Idle> Measure(const std::vector<pid_t>& machines, int seconds) {
  std::this_thread::sleep_for(kSettle);
  std::vector<double> before;
  const std::int64_t begin_us = ReadClocks().mono_us;
  for (const pid_t pid : machines) {
    auto usage = ReadUsage(pid);
    if (!usage) return std::unexpected(usage.error());
    before.push_back(usage->cpu_s);
  }
  for (int i = 0; i < seconds && !ToldToEnd(); ++i) std::this_thread::sleep_for(std::chrono::seconds(1));
  Idle idle;
  idle.machines = machines.size();
  const double elapsed_s = static_cast<double>(ReadClocks().mono_us - begin_us) / kMicrosPerSecond;
  for (std::size_t i = 0; i < machines.size(); ++i) {
    auto usage = ReadUsage(machines[i]);
    if (!usage) return std::unexpected(usage.error());
    const double cpu = (usage->cpu_s - before[i]) / elapsed_s * 100;
    const double pss = Megabytes(usage->pss_kib);
    idle.cpu_mean += cpu / static_cast<double>(machines.size());
    idle.pss_mean += pss / static_cast<double>(machines.size());
    idle.cpu_max = std::max(idle.cpu_max, cpu);
    idle.pss_max = std::max(idle.pss_max, pss);
  }
  return idle;
}

Result<Idle> ByHand(const DensityOptions& options) {
  auto saved = guest::MachineTemplate::Save(options.stack.image, kMemoryMib);
  if (!saved) return std::unexpected(saved.error());
  std::vector<std::unique_ptr<guest::Machine>> machines;
  std::vector<pid_t> pids;
  const auto ping_all = [&machines]() -> Result<void> {
    for (const auto& machine : machines) {
      if (auto ping = Hand(*machine).Ping(); !ping) return std::unexpected(ping.error());
    }
    return {};
  };
  for (int i = 0; i < options.machines; ++i) {
    if (ToldToEnd()) return Fail(Code::kUnavailable, "told to end");
    auto shell = (*saved)->MakeShell();
    if (!shell) return std::unexpected(shell.error());
    if (auto activated = (*saved)->Activate(**shell); !activated) return std::unexpected(activated.error());
    if (auto ping = Hand(**shell).Ping(); !ping) return std::unexpected(ping.error());
    pids.push_back((*shell)->pid());
    machines.push_back(std::move(*shell));
    if ((i + 1) % 10 == 0) fmt::print(stderr, "   {} clones by hand\n", i + 1);
  }
  auto idle = Measure(pids, options.seconds);
  if (auto alive = ping_all(); idle && !alive) return FailWith("after the rest", alive.error());
  return idle;
}

Result<Idle> ByExecutor(const DensityOptions& options) {
  OwnExecutor wanted;
  wanted.id = kExecutor;
  wanted.profiles = {{kProfile, options.machines, 0, kMemoryMib}};
  wanted.start = "template";
  wanted.memory_mib = (options.machines + 4) * kMemoryMib;
  auto stack = OwnStack::Start(options.stack, {wanted});
  if (!stack) return std::unexpected(stack.error());
  if (!(*stack)->missing().empty())
    return Fail(Code::kNotFound, fmt::format("the executor has no templates (it does not know the key `{}`)",
                                             (*stack)->missing().front()));
  fmt::print(stderr, "   an executor fills a pool of {}\n", options.machines);
  const std::int64_t within_ms = kQuietMs + options.machines * kMachineWithinMs;
  if (auto quiet = (*stack)->AwaitQuiet(kProfile, options.machines, 0, within_ms); !quiet)
    return std::unexpected(quiet.error());
  auto idle = Measure(FindProcesses(fmt::format("guest=hearth-{}-", kExecutor)), options.seconds);
  if (!idle) return idle;
  // Its pings found all of them alive meanwhile: three misses take a machine out of the pool.
  const auto ready = (*stack)->Pool(kProfile, "ready");
  if (ready.value_or(0) < options.machines)
    return Fail(Code::kInternal, fmt::format("only {} of {} machines are left", ready.value_or(0), options.machines));
  auto executor = ReadUsage((*stack)->executor_pid(kExecutor));
  if (!executor) return std::unexpected(executor.error());
  idle->executor_rss = static_cast<double>(executor->rss_kib) / 1024;
  return idle;
}

}  // namespace

int RunDensity(const DensityOptions& options) {
  HoldSignals();
  Table table({"idle machines of one template (TCG)", "n", "CPU % mean", "CPU % max", "PSS MB mean", "PSS MB max",
               "PSS GB all", "executor RSS MiB"},
              options.markdown);
  std::vector<Bound> bounds;
  int code = 0;
  const auto add = [&](const std::string& name, const Result<Idle>& idle) {
    if (!idle) {
      const bool lacking = idle.error().code == Code::kNotFound;
      fmt::print(stderr, "hearth-bench: {}: {}{}\n", name, lacking ? "not available: " : "", idle.error().message);
      code = std::max(code, lacking || idle.error().code == Code::kInternal ? 1 : 3);
      return;
    }
    const auto number = [](double value) { return fmt::format("{:.2f}", value); };
    table.Add({name, std::to_string(idle->machines), number(idle->cpu_mean), number(idle->cpu_max),
               number(idle->pss_mean), number(idle->pss_max),
               number(idle->pss_mean * static_cast<double>(idle->machines) / 1000),
               idle->executor_rss > 0 ? number(idle->executor_rss) : "–"});
    bounds.push_back({name + ": machines", static_cast<double>(idle->machines), 100, true, ""});
    bounds.push_back({name + ": CPU of one", idle->cpu_mean, 0.5, false, "%"});
    bounds.push_back({name + ": PSS of one", idle->pss_mean, 25, false, "MB"});
    if (idle->executor_rss > 0) bounds.push_back({name + ": executor RSS", idle->executor_rss, 64, false, "MiB"});
  };
  if (options.through != "executor") add("by hand", ByHand(options));
  if (options.through != "hand" && !ToldToEnd()) add("executor's pool", ByExecutor(options));
  fmt::print("\n{}\n{}", table.Text(), BoundsText(bounds, options.markdown));
  if (code == 0 && options.strict && !AllHeld(bounds)) code = 1;
  return code;
}

}  // namespace hearth::bench
