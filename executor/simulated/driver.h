// Machines that are none: stand-ins inside the executor's process, without threads of their own. They speak the guest's
// protocol, take the times that the configuration says, fail as often as it says, and run no user code. They show what
// Kafka, Redis, dispatchers and executors carry where machines cost nothing. Loop thread only.
//
// Each frame to a stand-in is encoded, and each of its answers is encoded and decoded, as on a real guest's link. The
// socket and the agent's own decoding are all that is left out.
//
// A run whose input is at most kMaxSimulateBytes long and has the form {"simulate": {"ms": 20, "bytes": 100, "fail":
// true, "die": true}}, each key optional, takes that time, returns so much, fails, or takes its machine along.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/http/status.h"
#include "common/log/log.h"
#include "common/loop/loop.h"
#include "executor/machine_driver.h"
#include "executor/simulated/agenda.h"
#include "executor/simulated/settings.h"
#include "schemas/frame.h"

namespace hearth::executor {

constexpr const char* kSimulated = "simulated";
constexpr std::size_t kMaxSimulateBytes = 256;

class SimulatedDriver : public MachineDriver {
 public:
  SimulatedDriver(Loop& loop, SimulatedSettings settings, Callbacks callbacks, std::shared_ptr<Readiness> readiness,
                  Logger log);
  ~SimulatedDriver() override;
  SimulatedDriver(const SimulatedDriver&) = delete;
  SimulatedDriver& operator=(const SimulatedDriver&) = delete;

  void Open() override;
  void Begin() override {}
  void Start(const MachineId& machine, const Profile& profile, bool warm_up) override;
  void KeepShells(const Profile&, std::int32_t) override {}  // there are none: a start takes as long either way
  void Destroy(const MachineId& machine) override;
  Result<void> Send(const MachineId& machine, const guest::Frame& frame) override;
  void SendArchive(const MachineId& machine, const CodeHash& hash, std::shared_ptr<const std::string> bytes,
                   std::function<void()> sent) override;
  void MarkOwner(const MachineId&, const UserId&, std::int32_t) override {}
  void Close(std::function<void()> done) override;
  [[nodiscard]] std::size_t size() const override { return machines_.size(); }
  [[nodiscard]] std::vector<std::string> Left() const override { return {}; }
  void Show(QueueDepths&) override {}

 private:
  // What the agent inside would know.
  struct Machine {
    struct Container {
      bool created = false;
      bool busy = false;
    };
    bool ready = false;
    std::map<std::uint32_t, Container> containers;
  };
  Machine::Container* Find(const MachineId& machine, std::uint32_t container);  // nullptr where it is gone
  void Started(const MachineId& machine, std::int32_t memory_mib);
  void Created(const MachineId& machine, std::uint32_t number);
  void BeginRun(const MachineId& machine, std::map<std::uint32_t, Machine::Container>& containers, std::uint32_t number,
                const guest::Run& run);
  void Ended(const MachineId& machine, std::uint32_t number, guest::Ended ended);
  void Die(const MachineId& machine);
  // The machine's agent says it, unless the machine is gone by then; now, or in the loop's next turn.
  void Say(const MachineId& machine, const guest::Frame& frame);
  void SayLater(const MachineId& machine, guest::Frame frame);

  Loop& loop_;
  const SimulatedSettings settings_;
  const Callbacks callbacks_;
  const std::shared_ptr<Readiness> readiness_;
  const Logger log_;
  Random random_;
  std::unordered_map<MachineId, std::unique_ptr<Machine>> machines_;
  std::string sent_;    // the frame that is being sent
  FrameReader reader_;  // of whole frames, one after another
  Agenda agenda_;       // last: what it has to do uses the rest
  bool closing_ = false;
};

}  // namespace hearth::executor
