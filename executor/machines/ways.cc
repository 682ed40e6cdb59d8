#include "executor/machines/ways.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "common/base/sha256.h"

namespace hearth::executor {
namespace {

constexpr std::string_view kModelKeys[] = {"model name", "microcode", "flags"};

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Under KVM the guest sees the host's processor; an emulated one is the same everywhere.
std::string DescribeProcessor(const std::string& path, Acceleration acceleration) {
  if (acceleration == Acceleration::kTcg) return "emulated";
  std::ifstream file(path);
  std::string text;
  for (std::string line; std::getline(file, line) && !line.empty();) {  // of the first processor
    for (const auto key : kModelKeys) {
      if (line.starts_with(key)) text += line + "\n";
    }
  }
  return Sha256Hex(text);
}

std::string DescribeFile(const std::string& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) return "absent";
  return fmt::format("{} bytes of {}.{:09}", status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

bool RunsAll(const guest::Hello& hello) {
  for (const Runtime runtime : {Runtime::kPython3, Runtime::kNative}) {
    if (std::find(hello.runtimes.begin(), hello.runtimes.end(), RuntimeName(runtime)) == hello.runtimes.end()) {
      return false;
    }
  }
  return true;
}

}  // namespace

Ways::Ways(Hypervisor& hypervisor, Fleet& fleet, MachineImage image, FleetOptions fleet_options, WaysOptions options,
           std::vector<Profile> profiles, Loop& loop, Logger log, OnChange on_change)
    : hypervisor_(hypervisor),
      fleet_(fleet),
      image_(std::move(image)),
      fleet_options_(std::move(fleet_options)),
      options_(std::move(options)),
      log_(std::move(log)),
      on_change_(std::move(on_change)),
      loop_(loop),
      store_(options_.folder, options_.checks),
      again_(loop, [this] { TryAgain(); }),
      files_("templates", 1, kMaxFileJobs) {
  for (auto& profile : profiles) {
    Line& line = lines_[profile.name];
    line.profile = std::move(profile);
    line.status.reason = "not tried yet";
  }
}

Ways::~Ways() {
  *alive_ = false;
}

template <class T>
void Ways::Apart(std::function<T()> work, std::function<void(T)> then) {
  const bool queued = files_.Post([this, alive = alive_, work = std::move(work), then = std::move(then)] {
    auto result = std::make_shared<T>(work());
    loop_.Post([alive, then, result] {
      if (*alive) then(std::move(*result));
    });
  });
  if (!queued) log_->critical("more jobs with files than profiles");
}

StartChoice Ways::ChoiceOf(const Line& line) const {
  const auto own = options_.profiles.find(line.profile.name);
  return own != options_.profiles.end() ? own->second : options_.choice;
}

std::vector<Way> Ways::Allowed(const Line& line) const {
  switch (ChoiceOf(line)) {
    case StartChoice::kAuto: return {Way::kTemplate, Way::kSave};
    case StartChoice::kTemplate: return {Way::kTemplate};
    case StartChoice::kSave: return {Way::kSave};
    case StartChoice::kBoot: return {};
  }
  return {};
}

std::string Ways::NameOf(const Line& line) const {
  return fmt::format("{}-{}-{}", line.profile.name, AccelerationName(fleet_options_.acceleration),
                     WayName(line.trying));
}

MachineId Ways::NextMachine(const char* purpose) {
  return MachineId(fmt::format("{}-{}-{}-{}", fleet_options_.executor.value, fleet_options_.incarnation.substr(0, 8),
                               purpose, next_machine_++));
}

void Ways::Begin() {
  for (const auto& [name, line] : lines_) queue_.push_back(name);
  Next();
}

void Ways::TryAgain() {
  if (stopped_) return;
  for (auto& [name, line] : lines_) {
    line.failures = 0;
    if (line.refused.empty() || name == busy_) continue;
    line.refused.clear();
    line.condemnations = 0;
    queue_.push_back(name);
  }
  Next();
}

void Ways::Stop() {
  stopped_ = true;
  again_.Cancel();
}

void Ways::Next() {
  if (stopped_ || !busy_.empty()) return;
  if (queue_.empty()) return;
  busy_ = queue_.front();
  queue_.pop_front();
  TryBest(lines_.at(busy_));
}

void Ways::TryBest(Line& line) {
  if (stopped_) return;
  for (const Way way : Allowed(line)) {
    if (line.refused.contains(way)) continue;
    line.trying = way;
    return Describe(line);
  }
  Settle(line, Way::kBoot, nullptr);
}

void Ways::Describe(Line& line) {
  Binding& binding = line.binding;
  binding.way = WayName(line.trying);
  binding.image = image_.hash;
  binding.processor = DescribeProcessor(options_.processor_file, fleet_options_.acceleration);
  binding.boot_id = FirstLine(options_.boot_id_file);
  binding.acceleration = AccelerationName(fleet_options_.acceleration);
  binding.memory_mib = line.profile.memory_mib;
  binding.vcpus = line.profile.vcpus;
  binding.devices = HashOfDevices(DescribeMachine(image_, fleet_options_.acceleration, line.profile));
  auto versions = std::make_shared<std::pair<std::string, std::string>>();
  hypervisor_.Run(
      Lane::kBehind,
      [versions](_virConnect* connection) -> Result<void> {
        auto emulator = EmulatorVersion(connection);
        if (!emulator) return std::unexpected(emulator.error());
        *versions = {*emulator, LibvirtVersion(connection)};
        return {};
      },
      [this, alive = alive_, &line, versions](Result<void> result) {
        if (!*alive || stopped_) return;
        if (!result) return Refuse(line, "QEMU's version cannot be asked: " + result.error().message);
        line.binding.emulator = fmt::format("{}, {}", versions->first, DescribeFile(options_.emulator));
        line.binding.libvirt = versions->second;
        Load(line);
      });
}

void Ways::Load(Line& line) {
  using Loaded = std::shared_ptr<Result<SavedMachine>>;
  Apart<Loaded>(
      [this, name = NameOf(line), wanted = line.binding, way = line.trying]() -> Loaded {
        if (auto made = store_.MakeFolder(); !made)
          log_->warn("templates={} {}", options_.folder, made.error().message);
        if (options_.fault) {
          if (auto done = options_.fault(way, "load"); !done) {
            return std::make_shared<Result<SavedMachine>>(std::unexpected(done.error()));
          }
        }
        return std::make_shared<Result<SavedMachine>>(store_.Load(name, wanted));
      },
      [this, &line](Loaded loaded) {
        if (stopped_) return;
        if (!*loaded) return Make(line, loaded->error().message);
        log_->info("profile={} way={} found in {}", line.profile.name, WayName(line.trying), options_.folder);
        Try(line, std::make_shared<const SavedMachine>(std::move(**loaded)), false);
      });
}

void Ways::Make(Line& line, const std::string& why) {
  log_->info("profile={} way={} is made: {}", line.profile.name, WayName(line.trying), why);
  ++line.status.made;
  recorder_ = std::make_shared<Recorder>(hypervisor_, line.trying, store_.PathOf(NameOf(line), "image"));
  const MachineId machine = NextMachine("template");
  struct Progress {
    std::string nonce;
    Result<void> outcome;
    bool saving = false;  // Save owes its answer
    bool gone = false;
  };
  auto progress = std::make_shared<Progress>();
  // A machine that libvirt saves ends by itself, before or after Save's answer: both have to have come.
  const auto finish = [this, &line, progress] {
    if (progress->gone && !progress->saving) Saved(line, progress->nonce, progress->outcome);
  };
  Fleet::Watch watch;
  watch.ready = [this, machine, progress, finish](const std::string& domain, guest::Hello hello) {
    progress->nonce = hello.boot_nonce;
    if (!RunsAll(hello)) {  // what it lacks, all that are made from it would lack
      progress->outcome = Fail(Code::kUnavailable, "not every runtime ran in it");
      return fleet_.Destroy(machine);
    }
    progress->saving = true;
    recorder_->Save(domain, [this, alive = alive_, machine, progress, finish](Result<void> saved) {
      if (!*alive) return;
      progress->saving = false;
      progress->outcome = std::move(saved);
      if (progress->gone) return finish();
      fleet_.Destroy(machine);
    });
  };
  watch.ended = [this, machine, progress](std::string reason) {
    if (!progress->saving && progress->nonce.empty()) progress->outcome = Fail(Code::kUnavailable, std::move(reason));
    fleet_.Destroy(machine);
  };
  watch.destroyed = [progress, finish] {
    progress->gone = true;
    finish();
  };
  fleet_.StartAside(machine, line.profile, *recorder_, std::move(watch));
}

void Ways::Saved(Line& line, const std::string& nonce, Result<void> result) {
  if (stopped_) return;
  if (!result && ++line.tries < kMakeTries) return Make(line, "once more: " + result.error().message);
  line.tries = 0;
  if (!result) return Refuse(line, "the machine to be saved: " + result.error().message);
  Collect(line, nonce);
}

void Ways::Collect(Line& line, const std::string& nonce) {
  using Kept = std::shared_ptr<Result<SavedMachine>>;
  Apart<Kept>(
      [this, name = NameOf(line), binding = line.binding, nonce, recorder = recorder_, way = line.trying]() -> Kept {
        if (options_.fault) {
          if (auto done = options_.fault(way, "make"); !done) {
            return std::make_shared<Result<SavedMachine>>(std::unexpected(done.error()));
          }
        }
        auto parts = recorder->Take();
        if (!parts) return std::make_shared<Result<SavedMachine>>(std::unexpected(parts.error()));
        Result<void> kept;
        auto saved = store_.Keep(name, binding, nonce, std::move(parts->state), std::move(parts->memory), &kept);
        if (!kept) log_->warn("templates={} no copy is kept: {}", options_.folder, kept.error().message);
        return std::make_shared<Result<SavedMachine>>(std::move(saved));
      },
      [this, &line](Kept saved) {
        recorder_.reset();
        if (stopped_) return;
        if (!*saved) return Refuse(line, saved->error().message);
        Try(line, std::make_shared<const SavedMachine>(std::move(**saved)), true);
      });
}

void Ways::Try(Line& line, std::shared_ptr<const SavedMachine> saved, bool fresh) {
  if (line.trying == Way::kTemplate) {
    trial_ = std::make_shared<TemplateStarter>(hypervisor_, saved);
  } else {
    trial_ = std::make_shared<SaveStarter>(hypervisor_, saved, options_.folder);
  }
  const MachineId machine = NextMachine("trial");
  auto fault = std::make_shared<std::string>();
  auto heard = std::make_shared<bool>(false);
  Fleet::Watch watch;
  watch.ready = [this, machine, fault, heard, nonce = saved->boot_nonce](const std::string&, guest::Hello hello) {
    *heard = true;
    if (hello.boot_nonce != nonce) *fault = "what came up is not the machine that was saved";
    fleet_.Destroy(machine);
  };
  watch.ended = [this, machine, fault, heard](std::string reason) {
    if (*heard) return;
    *fault = std::move(reason);
    fleet_.Destroy(machine);
  };
  watch.destroyed = [this, &line, fault, fresh] {
    const auto starter = std::exchange(trial_, nullptr);
    if (stopped_) return;
    if (fault->empty()) return Settle(line, line.trying, starter);
    if (fresh) return Refuse(line, "a machine made from it: " + *fault);
    store_.Remove(NameOf(line));
    Make(line, "a machine made from what was found: " + *fault);
  };
  fleet_.StartAside(machine, line.profile, *trial_, std::move(watch));
}

void Ways::Refuse(Line& line, const std::string& reason) {
  log_->warn("profile={} way={} is not possible: {}", line.profile.name, WayName(line.trying), reason);
  line.refused[line.trying] = reason;
  if (ChoiceOf(line) != StartChoice::kBoot) again_.StartOnce(kTryAgainMs);
  TryBest(line);
}

void Ways::Settle(Line& line, Way way, std::shared_ptr<MachineStarter> starter) {
  line.status.way = way;
  line.status.settled = true;
  line.status.reason.clear();
  for (const auto& [refused, reason] : line.refused) {
    line.status.reason += fmt::format("{}{}: {}", line.status.reason.empty() ? "" : "; ", WayName(refused), reason);
  }
  line.failures = 0;
  line.starter = std::move(starter);
  log_->info("profile={} way={} is in use{}{}", line.profile.name, WayName(way),
             line.status.reason.empty() ? "" : "; not ", line.status.reason);
  fleet_.Use(line.profile, line.starter);
  on_change_(line.profile.name, line.status);
  busy_.clear();
  Next();
}

void Ways::Report(const std::string& profile, const MachineStarter* starter, const std::string& reason) {
  const auto found = lines_.find(profile);
  if (found == lines_.end() || starter == nullptr || found->second.starter.get() != starter) return;
  Line& line = found->second;
  if (reason.empty()) {
    line.failures = 0;
    line.condemnations = 0;
    return;
  }
  log_->warn("profile={} way={} failed: {}", profile, WayName(line.status.way), reason);
  if (!hypervisor_.up()) return;  // that is libvirt's fault
  if (++line.failures < kFailuresCondemn || stopped_) return;
  const Way way = line.status.way;
  ++line.status.condemned;
  log_->error("profile={} way={} is condemned after {} failures in a row; machines are booted meanwhile", profile,
              WayName(way), line.failures);
  if (++line.condemnations >= kCondemnationsGiveUp) {
    line.refused[way] = fmt::format("condemned {} times, last: {}", line.condemnations, reason);
    again_.StartOnce(kTryAgainMs);
  }
  line.failures = 0;
  line.starter.reset();
  line.status.way = Way::kBoot;
  line.status.settled = false;
  line.status.reason = fmt::format("{}: condemned, {}", WayName(way), reason);
  line.trying = way;
  if (busy_ != profile) {
    store_.Remove(NameOf(line));
    queue_.push_back(profile);
  }
  // Not from inside the fleet's own step: this destroys shells.
  loop_.Post([this, alive = alive_, profile] {
    if (!*alive) return;
    Line& later = lines_.at(profile);
    if (later.starter == nullptr) fleet_.Use(later.profile, nullptr);
    on_change_(profile, later.status);
    Next();
  });
}

}  // namespace hearth::executor
