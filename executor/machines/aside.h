// Machines that are nobody's and that nobody waits for: one that is saved, and one that shows whether machines come up
// from what was saved. Each is an object that lives until it has told its outcome. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "executor/machines/fleet.h"
#include "executor/machines/starter.h"

namespace hearth::executor {

// Boots a machine, has it saved when it is ready, and ends it.
class Saving {
 public:
  // `done` is called once, when nothing of the machine is left, never from inside the constructor: with the nonce that
  // the machine had booted with, or with why nothing was saved. It may destroy this.
  using Done = std::function<void(Result<std::string> nonce)>;
  // `recorder` must live until `done` is called.
  Saving(Fleet& fleet, MachineId machine, const Profile& profile, Recorder& recorder, Done done);
  ~Saving();
  Saving(const Saving&) = delete;
  Saving& operator=(const Saving&) = delete;

 private:
  void Ready(const std::string& domain, const guest::Hello& hello);
  void Saved(Result<void> outcome);
  void TellWhenOver();

  Fleet& fleet_;
  const MachineId machine_;
  Recorder& recorder_;
  Done done_;
  std::string nonce_;  // empty: the machine has not said HELLO
  Result<void> outcome_;
  // A machine that libvirt saves ends by itself, before or after Save's answer: both have to have come.
  bool saving_ = false;  // Save owes its answer
  bool gone_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// Starts one machine as `starter` does it, and ends it.
class Trial {
 public:
  // `done` is called once, when nothing of the machine is left, never from inside the constructor: an error says why
  // the machine did not come up. It may destroy this.
  using Done = std::function<void(Result<void> came_up)>;
  // `nonce`: that of the machine that was saved, which this one has to repeat. `starter` must live until `done` is
  // called.
  Trial(Fleet& fleet, MachineId machine, const Profile& profile, MachineStarter& starter, std::string nonce, Done done);
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

 private:
  Done done_;
  bool heard_ = false;
  Result<void> outcome_;
};

}  // namespace hearth::executor
