// Which way machines of each profile come up: the best that has been shown to work on this host. A way is tried by
// making what it needs and by one machine made with it that says HELLO. Why a better way is not taken is kept. What
// fails later is condemned and made again, and machines are booted meanwhile: nothing waits for it. Loop thread only.
// The steps in which it is found are drawn in way_step.h.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/log/log.h"
#include "executor/machines/aside.h"
#include "executor/machines/fleet.h"
#include "executor/machines/saved_machine.h"
#include "executor/machines/way_step.h"
#include "executor/worker.h"

namespace hearth::executor {

// What the operator allows.
enum class StartChoice : std::uint8_t { kAuto = 0, kTemplate = 1, kSave = 2, kBoot = 3 };

constexpr std::int32_t kFailuresCondemn = 2;       // in a row, of starts and shells
constexpr std::int32_t kCondemnationsGiveUp = 2;   // without a start that went well between them
constexpr std::int32_t kMakeTries = 3;             // of a machine to be saved, where the host is busy
constexpr std::int64_t kTryAgainMs = 10 * 60'000;  // the ways that were given up
constexpr std::size_t kMaxFileJobs = 64;

struct WaysOptions {
  StartChoice choice = StartChoice::kAuto;
  std::map<std::string, StartChoice> profiles;  // those for which something else is allowed
  std::string folder;                           // for what is saved
  SavedStore::Checks checks;
  // Looks at, and may spoil, what kLoading or kKeeping is about to use; for tests of what happens then. Empty: nothing.
  std::function<Result<void>(Way way, WayStep step)> fault;
};

class Ways {
 public:
  struct Status {
    Way way = Way::kBoot;
    std::string reason;  // why no better one; empty for the best that is allowed
    bool settled = false;
    std::int64_t made = 0;       // saved machines that were made, not found
    std::int64_t condemned = 0;  // that failed in use
  };
  using OnChange = std::function<void(const std::string& profile, const Status&)>;

  // `post` as for Hypervisor.
  Ways(Hypervisor& hypervisor, Fleet& fleet, MachineImage image, FleetOptions fleet_options, WaysOptions options,
       std::vector<Profile> profiles, Loop& loop, Logger log, OnChange on_change);
  ~Ways();
  Ways(const Ways&) = delete;
  Ways& operator=(const Ways&) = delete;

  // Begins to try, profile by profile. libvirt must be connected.
  void Begin();
  // Fleet's `outcome`.
  void Report(const std::string& profile, const MachineStarter* starter, const std::string& reason);
  // Tries what was given up once more: libvirt has come back.
  void TryAgain();
  // Tries nothing more.
  void Stop();

  [[nodiscard]] const Status& Of(const std::string& profile) const { return selections_.at(profile).status; }

 private:
  // What is known of the ways of one profile.
  class Selection {
   public:
    Profile profile;
    Status status;
    std::map<Way, std::string> refused;       // with why
    std::shared_ptr<MachineStarter> starter;  // null: booted
    std::int32_t failures = 0;                // in a row
    std::int32_t condemnations = 0;
    std::int32_t tries = 0;  // to make what is saved
    Way trying = Way::kBoot;
    Binding binding;  // of what is made by the way that is tried

    [[nodiscard]] WayStep step() const { return step_; }
    // The only way from step to step. A move that CanMove refuses is a fault of ours and aborts.
    void Move(WayStep to);

   private:
    WayStep step_ = WayStep::kQueued;
  };

  [[nodiscard]] StartChoice ChoiceOf(const Selection& selection) const;
  [[nodiscard]] std::vector<Way> Allowed(const Selection& selection) const;
  void Queue(Selection& selection);
  void TryNext();
  void TryBest(Selection& selection);
  void Describe(Selection& selection);
  void Load(Selection& selection);
  void Make(Selection& selection, const std::string& why);
  void Saved(Selection& selection, Result<std::string> nonce);
  void Keep(Selection& selection, const std::string& nonce);
  void Try(Selection& selection, std::shared_ptr<const SavedMachine> saved, bool fresh);
  void Refuse(Selection& selection, const std::string& reason);
  void Settle(Selection& selection, Way way, std::shared_ptr<MachineStarter> starter);
  void Condemn(Selection& selection, const std::string& reason);
  [[nodiscard]] MachineId NextMachine(const char* purpose);
  [[nodiscard]] std::string NameOf(const Selection& selection) const;
  // Runs `work` on the file thread and `then`, if this still lives, on the loop's.
  template <class T>
  void Apart(std::function<T()> work, std::function<void(T)> then);

  Hypervisor& hypervisor_;
  Fleet& fleet_;
  const MachineImage image_;
  const FleetOptions fleet_options_;
  const WaysOptions options_;
  const Logger log_;
  const OnChange on_change_;
  Loop& loop_;
  const SavedStore store_;
  std::map<std::string, Selection> selections_;  // by profile
  std::deque<Selection*> queue_;                 // in kQueued, once Begin was called
  Selection* busy_ = nullptr;                    // the one that is being tried
  std::shared_ptr<Recorder> recorder_;
  std::unique_ptr<Saving> saving_;
  std::unique_ptr<Trial> trial_;
  std::uint64_t next_machine_ = 1;
  bool stopped_ = false;
  Timer again_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Worker files_;  // last: its thread ends before what it may use goes
};

}  // namespace hearth::executor
