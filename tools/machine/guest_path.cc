// hearth-guest-path: what the guest costs on an invocation's way, in a machine
// started by hand.
//
//   hearth-guest-path IMAGE [COUNT]
//
// Two tables: wall time with a bare ping of the same machine beside each run,
// and the guest's own clock in a machine that counts instructions (QEMU's
// -icount), where the same work reads the same on a host under any load.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "tools/machine/machine.h"

namespace hearth::guest {
namespace {

constexpr int kWarmUp = 50;
constexpr int kDefaultCount = 500;
constexpr std::chrono::milliseconds kPause{20};  // the guest prepares the next run meanwhile

class Series {
 public:
  void Add(std::int64_t value) { values_.push_back(value); }
  void Print(const std::string& name) {
    if (values_.empty()) return;
    std::ranges::sort(values_);
    const auto at = [this](double share) {
      return values_[std::min(values_.size() - 1,
                              static_cast<std::size_t>(share * static_cast<double>(values_.size())))];
    };
    fmt::print("{:<44} {:>6} {:>8} {:>8} {:>8}\n", name, values_.size(), values_.front(), at(0.5), at(0.99));
  }

 private:
  std::vector<std::int64_t> values_;
};

std::int64_t NowMicros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct Function {
  const char* name;
  Runtime runtime;
  const char* file;
  const char* handler;
  const char* content;
};

constexpr Function kFunctions[] = {
    {"python", Runtime::kPython3, "app.py", "app.handler", "def handler(event, context):\n    return event\n"},
    {"native", Runtime::kNative, "run", "run", "#!/bin/true\n"},
};

Result<void> Measure(const std::string& image, bool counts, int count) {
  MachineOptions options;
  options.image = image;
  if (counts) options.icount = "shift=0,sleep=off";  // the guest's clock is then the number of instructions, in ns
  auto started = Machine::Start(options);
  if (!started) return std::unexpected(started.error());
  Machine& machine = **started;
  if (auto hello = machine.Expect<Hello>(0, kBootTimeout); !hello) return std::unexpected(hello.error());
  Configure configure;
  configure.machine = MachineId("path");
  configure.user = UserId("path");
  configure.wall_us = 1'800'000'000'000'000;
  configure.entropy = std::string(64, 'e');
  const std::int64_t configure_us = NowMicros();
  machine.Send(0, configure);
  if (auto configured = machine.Expect<Configured>(0); !configured) return std::unexpected(configured.error());
  fmt::print("\n{:<44} {:>6} {:>8} {:>8} {:>8}\n",
             counts ? "thousands of instructions (guest's clock)" : "microseconds (host's clock)", "count", "min",
             "p50", "p99");
  std::uint32_t number = 0;
  for (const auto& function : kFunctions) {
    Create create;
    const std::string archive = MakeUstar({{function.file, function.content}});
    create.code = HashOf(archive);
    create.function = "path/path";
    create.runtime = function.runtime;
    create.handler = function.handler;
    create.memory_mib = 128;
    Series first_create, create_us, ping_us, run_us, check_us, start, total;
    if (auto stored = machine.Store(create.code, archive); !stored) return std::unexpected(stored.error());
    const int creates = counts ? 1 : 12;
    for (int i = 0; i < creates; ++i) {
      ++number;
      const std::int64_t begin_us = NowMicros();
      machine.Send(number, create);
      auto created = machine.Expect<Created>(number);
      if (!created) return std::unexpected(created.error());
      if (!created->error.empty()) return Fail(Code::kInternal, created->error);
      (i == 0 ? first_create : create_us).Add(NowMicros() - begin_us);
      if (i + 1 == creates) break;
      machine.Send(number, Remove{});
      if (auto gone = machine.Expect<ContainerGone>(number); !gone) return std::unexpected(gone.error());
    }
    if (number == 1)
      fmt::print("Configure to the first Created: {} us of the host's clock\n", NowMicros() - configure_us);
    for (int i = -kWarmUp; i < count; ++i) {
      std::this_thread::sleep_for(kPause);
      const std::int64_t ping_begin_us = NowMicros();
      machine.Send(0, Ping{1});
      if (auto pong = machine.Expect<Pong>(0); !pong) return std::unexpected(pong.error());
      Run run;
      run.id = InvocationId("run");
      run.timeout_ms = 60'000;
      run.input = "null";
      const std::int64_t begin_us = NowMicros();
      machine.Send(number, run);
      auto ended = machine.Expect<Ended>(number);
      if (!ended) return std::unexpected(ended.error());
      const std::int64_t ended_us = NowMicros();
      auto checked = machine.Expect<Checked>(number);
      if (!checked) return std::unexpected(checked.error());
      if (ended->status != Status::kOk || !checked->reusable)
        return Fail(Code::kInternal, ended->error_type + " " + ended->error_message);
      if (i < 0) continue;
      ping_us.Add(begin_us - ping_begin_us);
      run_us.Add(ended_us - begin_us);
      check_us.Add(NowMicros() - ended_us);
      start.Add(ended->start_us);
      total.Add(ended->total_us);
    }
    const std::string name = function.name;
    if (!counts) {
      first_create.Print(name + ": the first Create");
      create_us.Print(name + ": later Creates");
      ping_us.Print(name + ": bare ping");
      run_us.Print(name + ": Run to Ended");
      check_us.Print(name + ": Ended to Checked");
    }
    start.Print(name + ": Run read to first instruction, in the guest");
    total.Print(name + ": Run read to Ended written, in the guest");
  }
  return {};
}

}  // namespace
}  // namespace hearth::guest

int main(int count, char** arguments) {
  if (count < 2) {
    fmt::print(stderr, "hearth-guest-path IMAGE [COUNT]\n");
    return 2;
  }
  const int runs = count > 2 ? std::atoi(arguments[2]) : hearth::guest::kDefaultCount;
  for (const bool counts : {true, false}) {
    if (auto done = hearth::guest::Measure(arguments[1], counts, counts ? std::min(runs, 100) : runs); !done) {
      fmt::print(stderr, "hearth-guest-path: {}\n", done.error().message);
      return 1;
    }
  }
  return 0;
}
