#include "executor/machines/ways.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "executor/machines/host_binding.h"

namespace hearth::executor {

void Ways::Selection::Move(WayStep to) {
  if (!CanMove(step_, to)) {
    fmt::print(stderr, "the ways of profile {} cannot move from {} to {}\n", profile.name, StepName(step_),
               StepName(to));
    std::abort();
  }
  step_ = to;
}

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
    Selection& selection = selections_[profile.name];
    selection.profile = std::move(profile);
    selection.status.reason = "not tried yet";
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

StartChoice Ways::ChoiceOf(const Selection& selection) const {
  const auto own = options_.profiles.find(selection.profile.name);
  return own != options_.profiles.end() ? own->second : options_.choice;
}

std::vector<Way> Ways::Allowed(const Selection& selection) const {
  switch (ChoiceOf(selection)) {
    case StartChoice::kAuto: return {Way::kTemplate, Way::kSave};
    case StartChoice::kTemplate: return {Way::kTemplate};
    case StartChoice::kSave: return {Way::kSave};
    case StartChoice::kBoot: return {};
  }
  return {};
}

std::string Ways::NameOf(const Selection& selection) const {
  return fmt::format("{}-{}-{}", selection.profile.name, AccelerationName(fleet_options_.acceleration),
                     WayName(selection.trying));
}

MachineId Ways::NextMachine(const char* purpose) {
  return MachineId(fmt::format("{}-{}-{}-{}", fleet_options_.executor.value, fleet_options_.incarnation.substr(0, 8),
                               purpose, next_machine_++));
}

void Ways::Begin() {
  for (auto& [name, selection] : selections_) queue_.push_back(&selection);
  TryNext();
}

void Ways::TryAgain() {
  if (stopped_) return;
  for (auto& [name, selection] : selections_) {
    selection.failures = 0;
    if (selection.refused.empty() || &selection == busy_) continue;
    selection.refused.clear();
    selection.condemnations = 0;
    if (selection.step() == WayStep::kInUse) Queue(selection);
  }
  TryNext();
}

void Ways::Stop() {
  stopped_ = true;
  again_.Cancel();
}

void Ways::Queue(Selection& selection) {
  selection.Move(WayStep::kQueued);
  queue_.push_back(&selection);
}

void Ways::TryNext() {
  if (stopped_ || busy_ != nullptr || queue_.empty()) return;
  busy_ = queue_.front();
  queue_.pop_front();
  TryBest(*busy_);
}

void Ways::TryBest(Selection& selection) {
  if (stopped_) return;
  for (const Way way : Allowed(selection)) {
    if (selection.refused.contains(way)) continue;
    selection.trying = way;
    return Describe(selection);
  }
  Settle(selection, Way::kBoot, nullptr);
}

void Ways::Describe(Selection& selection) {
  selection.Move(WayStep::kDescribing);
  auto binding = std::make_shared<Binding>(
      BindingOnThisHost(selection.trying, image_, fleet_options_.acceleration, selection.profile));
  hypervisor_.Run(
      Lane::kBehind, [binding](_virConnect* connection) { return AddVersions(connection, *binding); },
      [this, alive = alive_, &selection, binding](Result<void> result) {
        if (!*alive || stopped_) return;
        if (!result) return Refuse(selection, "QEMU's version cannot be asked: " + result.error().message);
        selection.binding = std::move(*binding);
        Load(selection);
      });
}

void Ways::Load(Selection& selection) {
  selection.Move(WayStep::kLoading);
  using Loaded = std::shared_ptr<Result<SavedMachine>>;
  Apart<Loaded>(
      [this, name = NameOf(selection), wanted = selection.binding, way = selection.trying]() -> Loaded {
        if (auto made = store_.MakeFolder(); !made)
          log_->warn("templates={} {}", options_.folder, made.error().message);
        if (options_.fault) {
          if (auto done = options_.fault(way, WayStep::kLoading); !done) {
            return std::make_shared<Result<SavedMachine>>(std::unexpected(done.error()));
          }
        }
        return std::make_shared<Result<SavedMachine>>(store_.Load(name, wanted));
      },
      [this, &selection](Loaded loaded) {
        if (stopped_) return;
        if (!*loaded) return Make(selection, loaded->error().message);
        log_->info("profile={} way={} found in {}", selection.profile.name, WayName(selection.trying), options_.folder);
        Try(selection, std::make_shared<const SavedMachine>(std::move(**loaded)), false);
      });
}

void Ways::Make(Selection& selection, const std::string& why) {
  selection.Move(WayStep::kMaking);
  log_->info("profile={} way={} is made: {}", selection.profile.name, WayName(selection.trying), why);
  ++selection.status.made;
  recorder_ = std::make_shared<Recorder>(hypervisor_, selection.trying, store_.PathOf(NameOf(selection), "image"));
  saving_ = std::make_unique<Saving>(fleet_, NextMachine("template"), selection.profile, *recorder_,
                                     [this, &selection](Result<std::string> nonce) {
                                       saving_.reset();
                                       Saved(selection, std::move(nonce));
                                     });
}

void Ways::Saved(Selection& selection, Result<std::string> nonce) {
  if (stopped_) return;
  if (!nonce && ++selection.tries < kMakeTries) return Make(selection, "once more: " + nonce.error().message);
  selection.tries = 0;
  if (!nonce) return Refuse(selection, "the machine to be saved: " + nonce.error().message);
  Keep(selection, *nonce);
}

void Ways::Keep(Selection& selection, const std::string& nonce) {
  selection.Move(WayStep::kKeeping);
  using Kept = std::shared_ptr<Result<SavedMachine>>;
  Apart<Kept>(
      [this, name = NameOf(selection), binding = selection.binding, nonce, recorder = recorder_,
       way = selection.trying]() -> Kept {
        if (options_.fault) {
          if (auto done = options_.fault(way, WayStep::kKeeping); !done) {
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
      [this, &selection](Kept saved) {
        recorder_.reset();
        if (stopped_) return;
        if (!*saved) return Refuse(selection, saved->error().message);
        Try(selection, std::make_shared<const SavedMachine>(std::move(**saved)), true);
      });
}

void Ways::Try(Selection& selection, std::shared_ptr<const SavedMachine> saved, bool fresh) {
  selection.Move(WayStep::kTrying);
  std::shared_ptr<MachineStarter> starter;
  if (selection.trying == Way::kTemplate) {
    starter = std::make_shared<TemplateStarter>(hypervisor_, saved);
  } else {
    starter = std::make_shared<SaveStarter>(hypervisor_, saved, options_.folder);
  }
  trial_ = std::make_unique<Trial>(fleet_, NextMachine("trial"), selection.profile, *starter, saved->boot_nonce,
                                   [this, &selection, starter, fresh](const Result<void>& came_up) {
                                     trial_.reset();
                                     if (stopped_) return;
                                     if (came_up) return Settle(selection, selection.trying, starter);
                                     const std::string& fault = came_up.error().message;
                                     if (fresh) return Refuse(selection, "a machine made from it: " + fault);
                                     store_.Remove(NameOf(selection));
                                     Make(selection, "a machine made from what was found: " + fault);
                                   });
}

void Ways::Refuse(Selection& selection, const std::string& reason) {
  log_->warn("profile={} way={} is not possible: {}", selection.profile.name, WayName(selection.trying), reason);
  selection.refused[selection.trying] = reason;
  if (ChoiceOf(selection) != StartChoice::kBoot) again_.StartOnce(kTryAgainMs);
  TryBest(selection);
}

void Ways::Settle(Selection& selection, Way way, std::shared_ptr<MachineStarter> starter) {
  selection.Move(WayStep::kInUse);
  selection.status.way = way;
  selection.status.settled = true;
  selection.status.reason.clear();
  for (const auto& [refused, reason] : selection.refused) {
    selection.status.reason +=
        fmt::format("{}{}: {}", selection.status.reason.empty() ? "" : "; ", WayName(refused), reason);
  }
  selection.failures = 0;
  selection.starter = std::move(starter);
  log_->info("profile={} way={} is in use{}{}", selection.profile.name, WayName(way),
             selection.status.reason.empty() ? "" : "; not ", selection.status.reason);
  fleet_.Use(selection.profile, selection.starter);
  on_change_(selection.profile.name, selection.status);
  busy_ = nullptr;
  TryNext();
}

void Ways::Report(const std::string& profile, const MachineStarter* starter, const std::string& reason) {
  const auto found = selections_.find(profile);
  if (found == selections_.end() || starter == nullptr || found->second.starter.get() != starter) return;
  Selection& selection = found->second;
  if (reason.empty()) {
    selection.failures = 0;
    selection.condemnations = 0;
    return;
  }
  log_->warn("profile={} way={} failed: {}", profile, WayName(selection.status.way), reason);
  if (!hypervisor_.up()) return;  // that is libvirt's fault
  if (++selection.failures >= kFailuresCondemn && !stopped_) Condemn(selection, reason);
}

void Ways::Condemn(Selection& selection, const std::string& reason) {
  const Way way = selection.status.way;
  const std::string& profile = selection.profile.name;
  ++selection.status.condemned;
  log_->error("profile={} way={} is condemned after {} failures in a row; machines are booted meanwhile", profile,
              WayName(way), selection.failures);
  if (++selection.condemnations >= kCondemnationsGiveUp) {
    selection.refused[way] = fmt::format("condemned {} times, last: {}", selection.condemnations, reason);
    again_.StartOnce(kTryAgainMs);
  }
  selection.failures = 0;
  selection.starter.reset();
  selection.status.way = Way::kBoot;
  selection.status.settled = false;
  selection.status.reason = fmt::format("{}: condemned, {}", WayName(way), reason);
  if (&selection != busy_) {
    selection.trying = way;
    store_.Remove(NameOf(selection));
    if (selection.step() == WayStep::kInUse) Queue(selection);
  }
  // Not from inside the fleet's own step: this destroys shells.
  loop_.Post([this, alive = alive_, &selection] {
    if (!*alive) return;
    if (selection.starter == nullptr) fleet_.Use(selection.profile, nullptr);
    on_change_(selection.profile.name, selection.status);
    TryNext();
  });
}

}  // namespace hearth::executor
