// What makes and destroys the machines of an executor and speaks with their agents: libvirt (libvirt_driver.h), or
// stand-ins (simulated/driver.h). The app hands it the core's effects about machines and gets back what happens to
// them. Loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "executor/core/settings.h"
#include "schemas/guest.h"
#include "schemas/runtime.h"
#include "schemas/start_path.h"

namespace hearth::executor {

struct QueueDepths;

class MachineDriver {
 public:
  // What is known of machines before the first one is made.
  struct Opened {
    std::string acceleration;     // as replies name it: "kvm", "tcg" or "simulated"
    std::set<Runtime> runtimes;   // that each machine has to have
    bool takes_host_room = true;  // machines take memory and processors of this host
  };
  struct Callbacks {
    std::function<void(Result<Opened>)> opened;  // answer to Open; an error: the executor must not run
    std::function<void(const MachineId&, StartPath, guest::Hello)> ready;
    std::function<void(const MachineId&, std::string reason)> failed;  // never became ready; it is being removed
    std::function<void(const MachineId&, std::string reason)> lost;    // was ready; it is being removed
    std::function<void(const MachineId&, guest::Frame)> frame;         // of its agent
    std::function<void(const MachineId&)> destroyed;                   // answer to Destroy
    std::function<void(const std::string& profile, std::int32_t ready)> shells;
    // Machines of the profile are made from something else from now on.
    std::function<void(const std::string& profile, std::string image)> image_changed;
    std::function<void()> reconnected;        // what machines could not be started for may be over
    std::function<void(Error)> must_go_down;  // no machine can or may run any more
  };

  virtual ~MachineDriver() = default;

  // Finds out what machines run under, for as long as it takes; answered by `opened`, not from inside the call.
  virtual void Open() = 0;
  // The core is there, and machines are asked for from now on.
  virtual void Begin() = 0;
  // Answered by `ready` or `failed`, never from inside the call.
  virtual void Start(const MachineId& machine, const Profile& profile, bool warm_up) = 0;
  // How many shells shall wait; `shells` reports those that do.
  virtual void KeepShells(const Profile& profile, std::int32_t count) = 0;
  // Answered by `destroyed`, also for a machine that is not known; never from inside the call.
  virtual void Destroy(const MachineId& machine) = 0;
  // What no frame holds is refused (kExhausted). Nothing for a machine that is gone.
  virtual Result<void> Send(const MachineId& machine, const guest::Frame& frame) = 0;
  // `sent` is called once the last of it is on its way, perhaps from inside the call; not where the machine is gone.
  virtual void SendArchive(const MachineId& machine, const CodeHash& hash, std::shared_ptr<const std::string> bytes,
                           std::function<void()> sent) = 0;
  // The machine is the user's from now on, who has `rank` machines before it.
  virtual void MarkOwner(const MachineId& machine, const UserId& user, std::int32_t rank) = 0;
  // Makes no machine any more and destroys all there are, without a word to the callbacks; then calls `done`.
  virtual void Close(std::function<void()> done) = 0;

  [[nodiscard]] virtual std::size_t size() const = 0;
  // The machines that are not gone yet, for the log.
  [[nodiscard]] virtual std::vector<std::string> Left() const = 0;
  // Fills in the depths of its queues, and shows the metrics that are its own.
  virtual void Show(QueueDepths& depths) = 0;
};

}  // namespace hearth::executor
