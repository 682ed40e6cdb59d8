#include "tools/bench/clone.h"

#include <fmt/format.h>

#include <map>

#include "common/base/time.h"
#include "tools/bench/figures.h"
#include "tools/bench/hand.h"
#include "tools/bench/processes.h"
#include "tools/machine/template.h"

namespace hearth::bench {
namespace {

// From the order to activate a clone.
struct Steps {
  Series answer, configured, stored, created, first;
  Series faults;  // of QEMU until the container has run; a count, as if it were µs
};

Result<void> RunOne(const guest::MachineTemplate& saved, const Noop& code, Steps& steps) {
  auto shell = saved.MakeShell();
  if (!shell) return std::unexpected(shell.error());
  Hand hand(**shell);
  const auto before = ReadUsage((*shell)->pid());
  const std::int64_t begin_us = ReadClocks().mono_us;
  if (auto activated = saved.Activate(**shell); !activated) return activated;
  if (auto ping = hand.Ping(); !ping) return std::unexpected(ping.error());
  const std::int64_t answer_us = ReadClocks().mono_us - begin_us;
  if (auto configured = hand.Configure(); !configured) return configured;
  const std::int64_t configured_us = ReadClocks().mono_us - begin_us;
  const auto first = hand.FirstInstruction(code);
  if (!first) return std::unexpected(first.error());
  const auto after = ReadUsage((*shell)->pid());
  steps.answer.Add(answer_us);
  steps.configured.Add(configured_us);
  steps.stored.Add(configured_us + first->stored_us);
  steps.created.Add(configured_us + first->created_us);
  steps.first.Add(configured_us + first->first_us);
  if (before && after) steps.faults.Add(after->minor_faults - before->minor_faults);
  return {};
}

Result<void> RunAll(const CloneOptions& options, std::map<Runtime, Steps>& measured) {
  const auto files = ReadNoop(options.python, options.native);
  if (!files) return std::unexpected(files.error());
  auto saved = guest::MachineTemplate::Save(options.image);
  if (!saved) return std::unexpected(saved.error());
  for (int i = 0; i < options.clones; ++i) {
    for (const auto runtime : {Runtime::kPython3, Runtime::kNative}) {
      if (ToldToEnd()) return Fail(Code::kUnavailable, "told to end");
      const auto code = MakeNoop(*files, runtime, fmt::format("{}", i));
      if (!code) return std::unexpected(code.error());
      if (auto done = RunOne(**saved, *code, measured[runtime]); !done) return FailWith("clone", done.error());
    }
  }
  return {};
}

}  // namespace

int RunClone(const CloneOptions& options) {
  HoldSignals();
  std::map<Runtime, Steps> measured;
  const auto done = RunAll(options, measured);
  if (!done) fmt::print(stderr, "hearth-bench: {}\n", done.error().message);
  for (const auto& [runtime, steps] : measured) {
    fmt::print("\n{}, from the order to activate; emulated machines (TCG) tell ratios only:\n\n", RuntimeName(runtime));
    Table table({"milliseconds", "n", "min", "p50", "p99"}, options.markdown);
    table.AddSeries("answer to a ping", steps.answer);
    table.AddSeries("configured", steps.configured);
    table.AddSeries("code stored", steps.stored);
    table.AddSeries("container made", steps.created);
    table.AddSeries("first instruction", steps.first);
    fmt::print("{}\npage faults of QEMU (p50): {:.0f}\n", table.Text(), steps.faults.At(0.5) * 1000);
  }
  if (done) return 0;
  return measured.empty() ? 3 : 1;
}

}  // namespace hearth::bench
