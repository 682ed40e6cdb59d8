#include "tools/bench/boot.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <system_error>
#include <vector>

#include "common/base/time.h"
#include "executor/machines/hypervisor.h"
#include "executor/machines/image.h"
#include "tools/bench/arguments.h"
#include "tools/bench/console.h"
#include "tools/bench/figures.h"
#include "tools/bench/hand.h"
#include "tools/bench/processes.h"
#include "tools/machine/template.h"

namespace hearth::bench {
namespace {

namespace fs = std::filesystem;

constexpr auto kConnectWithin = std::chrono::seconds(60);  // the first connection asks QEMU what it can
constexpr auto kCallWithin = std::chrono::seconds(90);
constexpr int kCountedRuns = 2;  // instructions repeat: the second shows it

// libvirt inside this process, with a root of its own, asked and waited for.
class Libvirt {
 public:
  static Result<std::unique_ptr<Libvirt>> Open(const std::string& folder);
  // libvirt's answer comes as a value: when, or why not.
  std::future<Result<std::int64_t>> Create(const std::string& xml);
  Result<void> Destroy(const std::string& name);
  // Commands that went to any QEMU's monitor so far.
  [[nodiscard]] int Commands() const;
  [[nodiscard]] std::string MachineLog(const std::string& name) const {
    return ReadFile(folder_ + "/libvirt/log/qemu/" + name + ".log");
  }

 private:
  explicit Libvirt(std::string folder) : folder_(std::move(folder)) {}
  const std::string folder_;
  std::unique_ptr<executor::Hypervisor> hypervisor_;
};

Result<std::unique_ptr<Libvirt>> Libvirt::Open(const std::string& folder) {
  std::unique_ptr<Libvirt> libvirt(new Libvirt(folder));
  std::error_code error;
  fs::create_directories(folder + "/libvirt/etc", error);
  std::ofstream conf(folder + "/libvirt/etc/qemu.conf");
  conf << "user = \"root\"\ngroup = \"root\"\ndynamic_ownership = 0\nremember_owner = 0\n"
          "security_driver = \"none\"\nstdio_handler = \"file\"\nnamespaces = []\n";
  if (!conf.flush()) return Fail(Code::kUnavailable, "cannot write into " + folder);
  // It logs each command to a monitor: a line, some twenty a start. Set before there are threads.
  setenv("LIBVIRT_LOG_FILTERS", "2:qemu.qemu_monitor", 1);
  setenv("LIBVIRT_LOG_OUTPUTS", ("2:file:" + folder + "/monitor.log").c_str(), 1);
  auto up = std::make_shared<std::promise<void>>();
  auto state = up->get_future();
  executor::HypervisorOptions options;
  options.uri = "qemu:///embed?root=" + folder + "/libvirt";
  libvirt->hypervisor_ = std::make_unique<executor::Hypervisor>(
      options, [](const std::function<void()>& work) { work(); },
      [up, told = false](executor::Hypervisor::State now, const std::string& reason) mutable {
        if (now != executor::Hypervisor::State::kUp) return fmt::print(stderr, "   libvirt: {}\n", reason);
        if (!std::exchange(told, true)) up->set_value();
      });
  if (state.wait_for(kConnectWithin) != std::future_status::ready) return Fail(Code::kUnavailable, "libvirt is away");
  return libvirt;
}

std::future<Result<std::int64_t>> Libvirt::Create(const std::string& xml) {
  auto answer = std::make_shared<std::promise<Result<std::int64_t>>>();
  hypervisor_->Create(xml, [answer](const Result<void>& done) {
    if (done) return answer->set_value(ReadClocks().mono_us);
    answer->set_value(std::unexpected(done.error()));
  });
  return answer->get_future();
}

Result<void> Libvirt::Destroy(const std::string& name) {
  auto answer = std::make_shared<std::promise<Result<void>>>();
  hypervisor_->Destroy(name, [answer](Result<void> done) { answer->set_value(std::move(done)); });
  auto done = answer->get_future();
  if (done.wait_for(kCallWithin) != std::future_status::ready) return Fail(Code::kDeadline, "destroying " + name);
  return done.get();
}

int Libvirt::Commands() const {
  const std::string log = ReadFile(folder_ + "/monitor.log");
  int count = 0;
  for (auto at = log.find("QEMU_MONITOR_SEND_MSG"); at != std::string::npos;
       at = log.find("QEMU_MONITOR_SEND_MSG", at + 1)) {
    if (log.substr(at, log.find('\n', at) - at).find("\"execute\"") != std::string::npos) ++count;
  }
  return count;
}

// What was seen of starts of one kind.
struct Starts {
  Series call;       // libvirt's answer
  Series connected;  // QEMU has opened the guest link: its own initialisation is done
  Series hello;
  Series faults;  // counts, as if they were µs
  Series rss;     // KiB, likewise

  void Add(std::int64_t begin_us, std::int64_t connected_us, std::int64_t hello_us, pid_t qemu) {
    connected.Add(connected_us - begin_us);
    hello.Add(hello_us - begin_us);
    if (const auto usage = ReadUsage(qemu)) {
      faults.Add(usage->minor_faults + usage->major_faults);
      rss.Add(usage->rss_kib);
    }
  }
};

class Boot {
 public:
  Boot(const BootOptions& options, std::string folder, executor::MachineImage image, Libvirt& libvirt)
      : options_(options), folder_(std::move(folder)), image_(std::move(image)), libvirt_(libvirt) {}

  Result<void> Run();
  int Print() const;

 private:
  Result<void> ByLibvirt(int number, bool counts);
  Result<void> ByHand(bool counts);
  Result<void> WithConsole(bool counted);
  Result<void> Clone(const guest::MachineTemplate& saved);

  const BootOptions& options_;
  const std::string folder_;
  const executor::MachineImage image_;
  Libvirt& libvirt_;
  std::string like_;  // libvirt's log of the last start
  Starts libvirt_starts_;
  Starts hand_starts_;
  Series commands_;                             // to the monitor, as if they were µs
  std::vector<std::vector<Milestone>> phases_;  // HELLO last; first element is QEMU's start
  std::vector<std::vector<Milestone>> counted_;
  Series shell_;
  Series activation_;
  Series clone_faults_;
};

Result<void> Boot::ByLibvirt(int number, bool counts) {
  auto machine = guest::Machine::Listen();
  if (!machine) return std::unexpected(machine.error());
  executor::DomainSpec spec;
  const MachineId machine_id(fmt::format("bench-{}-{}", getpid(), number));
  spec.name = executor::DomainName(machine_id);
  spec.kernel = image_.kernel;
  spec.initrd = image_.initrd;
  spec.cmdline = image_.cmdline_tcg;
  spec.root_image = image_.root_image;
  spec.socket = (*machine)->socket();
  spec.mark = {ExecutorId("bench"), "bench", machine_id, UserId(), "bench"};
  const int commands = libvirt_.Commands();
  const std::int64_t begin_us = ReadClocks().mono_us;
  auto answer = libvirt_.Create(executor::BuildDomainXml(spec));
  const auto start = [&]() -> Result<void> {
    if (auto connected = (*machine)->AwaitQemu(); !connected) return connected;
    const std::int64_t connected_us = ReadClocks().mono_us;
    if (auto hello = (*machine)->Expect<guest::Hello>(0, guest::kBootTimeout); !hello)
      return std::unexpected(hello.error());
    const std::int64_t hello_us = ReadClocks().mono_us;
    const auto found = FindProcesses("guest=" + spec.name + ",");
    if (counts) libvirt_starts_.Add(begin_us, connected_us, hello_us, found.size() == 1 ? found.front() : -1);
    return {};
  };
  Result<void> started = start();
  if (answer.wait_for(kCallWithin) != std::future_status::ready)
    return Fail(Code::kDeadline, "libvirt does not answer");
  const auto called = answer.get();
  if (!called) return FailWith("libvirt", called.error());
  if (counts && started) {
    libvirt_starts_.call.Add(*called - begin_us);
    commands_.Add(libvirt_.Commands() - commands);
  }
  like_ = libvirt_.MachineLog(spec.name);
  auto destroyed = libvirt_.Destroy(spec.name);
  if (!started) return FailWith("through libvirt", started.error());
  return destroyed;
}

Result<void> Boot::ByHand(bool counts) {
  auto machine = guest::Machine::Listen();
  if (!machine) return std::unexpected(machine.error());
  auto arguments = HandArguments(like_, (*machine)->socket());
  if (!arguments) return std::unexpected(arguments.error());
  const std::int64_t begin_us = ReadClocks().mono_us;
  Result<void> launched = (*machine)->Launch(*arguments);
  if (launched) launched = (*machine)->AwaitQemu();
  if (!launched) return launched;
  const std::int64_t connected_us = ReadClocks().mono_us;
  if (auto hello = (*machine)->Expect<guest::Hello>(0, guest::kBootTimeout); !hello)
    return FailWith("by hand", hello.error());
  if (counts) hand_starts_.Add(begin_us, connected_us, ReadClocks().mono_us, (*machine)->pid());
  return {};
}

Result<void> Boot::WithConsole(bool counted) {
  guest::MachineOptions options;
  options.image = options_.image;
  options.monitor = true;
  options.console = folder_ + "/console";
  // Only what is executed counts. Idle time passes as it does outside (sleep=on), else the guest's own time-outs would
  // end while it waits for its disk.
  if (counted) options.icount = "shift=0,sleep=on";
  std::error_code ignored;
  fs::remove(options.console, ignored);
  std::vector<Milestone> run = {{"QEMU's own start", "", ReadClocks().mono_us, 0}};
  auto machine = guest::Machine::Start(options);
  if (!machine) return std::unexpected(machine.error());
  run.push_back({"firmware, kernel and initramfs loaded", "", ReadClocks().mono_us, 0});
  auto monitor = (*machine)->monitor();
  if (!monitor) return std::unexpected(monitor.error());
  const auto count = [qmp = *monitor, counted]() -> std::int64_t {
    return counted ? qmp->Instructions().value_or(0) : 0;
  };
  ConsoleWatch watch(options.console,
                     {{"kernel", "Linux version"},
                      {"agent: modules, disk", "Run /init"},
                      {"agent: root, runtimes, each run once", "[vda]"}},
                     counted ? std::function<std::int64_t()>(count) : nullptr);
  auto hello = (*machine)->Expect<guest::Hello>(0, guest::kBootTimeout);
  const std::int64_t hello_us = ReadClocks().mono_us;
  const auto seen = watch.Finish();
  if (!hello) {
    constexpr std::size_t kLogEndBytes = 600;
    const std::string log = ReadFile(options.console);
    return FailWith(
        "with the kernel's log, which ends in\n" + log.substr(log.size() - std::min(log.size(), kLogEndBytes)),
        hello.error());
  }
  run.insert(run.end(), seen.begin(), seen.end());
  run.push_back({"HELLO", "", hello_us, count()});
  if (std::ranges::any_of(run, [](const Milestone& each) { return each.at_us == 0; }))
    return Fail(Code::kInternal, "the kernel's log lacks a line that was looked for");
  (counted ? counted_ : phases_).push_back(std::move(run));
  return {};
}

Result<void> Boot::Clone(const guest::MachineTemplate& saved) {
  const std::int64_t begin_us = ReadClocks().mono_us;
  auto shell = saved.MakeShell();
  if (!shell) return std::unexpected(shell.error());
  const std::int64_t ready_us = ReadClocks().mono_us;
  Hand hand(**shell);
  const auto before = ReadUsage((*shell)->pid());
  const std::int64_t activate_us = ReadClocks().mono_us;
  if (auto activated = saved.Activate(**shell); !activated) return activated;
  if (auto ping = hand.Ping(); !ping) return std::unexpected(ping.error());
  const std::int64_t answered_us = ReadClocks().mono_us;
  const auto after = ReadUsage((*shell)->pid());
  shell_.Add(ready_us - begin_us);
  activation_.Add(answered_us - activate_us);
  if (before && after) clone_faults_.Add(after->minor_faults - before->minor_faults);
  return {};
}

Result<void> Boot::Run() {
  fmt::print(stderr, "   warm-up\n");
  if (auto done = ByLibvirt(0, false); !done) return done;
  if (auto done = ByHand(false); !done) return done;
  for (int i = 1; i <= options_.starts; ++i) {
    if (ToldToEnd()) return Fail(Code::kUnavailable, "told to end");
    fmt::print(stderr, "   pair {} of {}\n", i, options_.starts);
    // Whoever comes second in a pair finds the host as the first left it: they take turns.
    if (i % 2 == 1) {
      if (auto done = ByLibvirt(i, true); !done) return done;
    }
    if (auto done = ByHand(true); !done) return done;
    if (i % 2 == 1) continue;
    if (auto done = ByLibvirt(i, true); !done) return done;
  }
  fmt::print(stderr, "   phases, by the kernel's log\n");
  for (int i = 0; i < options_.phases; ++i) {
    if (auto done = WithConsole(false); !done) return done;
  }
  fmt::print(stderr, "   instructions\n");
  for (int i = 0; i < kCountedRuns; ++i) {
    if (auto done = WithConsole(true); !done) return done;
  }
  fmt::print(stderr, "   shells and activations, by hand\n");
  auto saved = guest::MachineTemplate::Save(options_.image);
  if (!saved) return std::unexpected(saved.error());
  for (int i = 0; i < options_.clones; ++i) {
    if (ToldToEnd()) return Fail(Code::kUnavailable, "told to end");
    if (auto done = Clone(**saved); !done) return FailWith("clone", done.error());
  }
  return {};
}

int Boot::Print() const {
  const bool markdown = options_.markdown;
  fmt::print("\nfrom the order to HELLO; emulated machines (TCG) tell ratios only:\n\n");
  Table times({"milliseconds", "n", "min", "p50", "p99"}, markdown);
  times.AddSeries("libvirt: create call answered", libvirt_starts_.call);
  times.AddSeries("libvirt: QEMU has opened the guest link", libvirt_starts_.connected);
  times.AddSeries("libvirt: HELLO", libvirt_starts_.hello);
  times.AddSeries("by hand: QEMU has opened the guest link", hand_starts_.connected);
  times.AddSeries("by hand: HELLO", hand_starts_.hello);
  times.AddSeries("shell by hand: ready to be filled", shell_);
  times.AddSeries("clone by hand: activation → first answer", activation_);
  fmt::print("{}", times.Text());

  fmt::print("\nwhere the time goes, by hand with the kernel's log on a serial port, which costs a little itself:\n\n");
  Table phases({"phase", "ms (p50)", "million instructions"}, markdown);
  for (std::size_t i = 0; !phases_.empty() && i + 1 < phases_.front().size(); ++i) {
    Series series;
    for (const auto& run : phases_) series.Add(run[i + 1].at_us - run[i].at_us);
    std::string instructions;
    for (const auto& run : counted_) {
      const auto count = static_cast<double>(run[i + 1].instructions - run[i].instructions) / 1e6;
      instructions += fmt::format("{}{:.1f}", instructions.empty() ? "" : " / ", count);
    }
    phases.Add({phases_.front()[i].name, fmt::format("{:.1f}", series.At(0.5)), instructions});
  }
  fmt::print("{}", phases.Text());

  fmt::print("\ncounts:\n\n");
  Table counts({"count", "n", "min", "p50", "max"}, markdown);
  const auto count = [&counts](const std::string& name, const Series& series) {
    const auto at = [&series](double share) { return fmt::format("{:.0f}", series.At(share) * 1000); };
    counts.Add({name, std::to_string(series.size()), at(0), at(0.5), at(1)});
  };
  count("monitor commands of a start through libvirt", commands_);
  count("page faults of QEMU until HELLO, libvirt", libvirt_starts_.faults);
  count("page faults of QEMU until HELLO, by hand", hand_starts_.faults);
  count("KiB resident at HELLO, libvirt", libvirt_starts_.rss);
  count("KiB resident at HELLO, by hand", hand_starts_.rss);
  count("page faults of an activation, by hand", clone_faults_);
  fmt::print("{}\n", counts.Text());

  std::vector<Bound> bounds;
  if (hand_starts_.hello.size() > 0)
    bounds.push_back({"start through libvirt ÷ by hand, to HELLO",
                      MedianRatio(libvirt_starts_.hello, hand_starts_.hello), 1.15, false, "×"});
  if (commands_.size() > 0) bounds.push_back({"monitor commands of a start", commands_.At(1) * 1000, 20, false, ""});
  if (shell_.size() > 0)
    bounds.push_back({"shells by hand, one after the other", 1000 / std::max(shell_.At(0.5), 0.001), 3, true, "/ s"});
  fmt::print("{}", BoundsText(bounds, markdown));
  return AllHeld(bounds) || !options_.strict ? 0 : 1;
}

}  // namespace

int RunBoot(const BootOptions& options) {
  HoldSignals();
  const auto away = [](const Error& error) {
    fmt::print(stderr, "hearth-bench: {}\n", error.message);
    return 3;
  };
  auto image = executor::LoadImage(options.image);
  if (!image) return away(image.error());
  std::string folder = "/tmp/hearth-boot-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr)
    return away({Code::kUnavailable, std::string("mkdtemp: ") + std::strerror(errno)});
  int code = 3;
  {
    auto libvirt = Libvirt::Open(folder);
    if (!libvirt) {
      away(libvirt.error());
    } else {
      Boot boot(options, folder, std::move(*image), **libvirt);
      const auto done = boot.Run();
      if (!done) fmt::print(stderr, "hearth-bench: {}\n", done.error().message);
      code = boot.Print();
      if (!done) code = 1;
    }
  }
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  return code;
}

}  // namespace hearth::bench
