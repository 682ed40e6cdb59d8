// Which acceleration machines get. KVM is proved, never assumed: a /dev/kvm may open, answer and still run no stock
// kernel, so one machine of the real image has to say HELLO under it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/loop/loop.h"
#include "executor/machines/fleet.h"

namespace hearth::executor {

enum class AccelerationChoice : std::uint8_t { kAuto = 0, kKvm = 1, kTcg = 2 };

// How long a machine under KVM may take from libvirt's answer to HELLO: several times what a loaded host needs.
constexpr std::int64_t kProofHelloMs = 5000;

// The outcome, with what it depends on.
struct AccelerationProof {
  std::string image;    // hash of the image's manifest
  std::string boot_id;  // of the host's kernel
  std::string device;   // owner and mode of the KVM device
  Acceleration acceleration = Acceleration::kTcg;
  std::string reason;  // why not KVM; empty for KVM
  friend bool operator==(const AccelerationProof&, const AccelerationProof&) = default;
};

std::string EncodeProof(const AccelerationProof& proof);  // JSON
Result<AccelerationProof> DecodeProof(std::string_view text);

// Why the device cannot be used at all, or nothing where it opens.
std::optional<std::string> KvmDeviceFault(const std::string& device);

class AccelerationProver {
 public:
  struct Options {
    AccelerationChoice choice = AccelerationChoice::kAuto;
    bool require_kvm = false;
    std::string device = "/dev/kvm";
    std::string boot_id_file = "/proc/sys/kernel/random/boot_id";
    std::string proof_file;  // in the state folder
    Profile profile;         // of the machine that is started
    FleetOptions fleet;      // its executor, incarnation, folder and account
  };
  struct Outcome {
    Acceleration acceleration = Acceleration::kTcg;
    std::string reason;  // why it was taken, for log and /readyz
  };
  // `done` is called once, from the loop. An error means that the executor must not run: KVM was demanded and is not
  // to be had. libvirt must be connected.
  AccelerationProver(Loop& loop, Hypervisor& hypervisor, MachineImage image, Options options,
                     std::function<void(Result<Outcome>)> done);
  ~AccelerationProver();
  AccelerationProver(const AccelerationProver&) = delete;
  AccelerationProver& operator=(const AccelerationProver&) = delete;

 private:
  void Begin();
  void StartMachine();
  void Conclude(Acceleration acceleration, std::string reason, bool keep);

  Loop& loop_;
  Hypervisor& hypervisor_;
  const MachineImage image_;
  Options options_;
  std::function<void(Result<Outcome>)> done_;
  AccelerationProof proof_;
  BootStarter starter_;
  std::unique_ptr<Fleet> fleet_;
  Timer begin_;
  bool heard_ = false;
  std::string fault_;
};

}  // namespace hearth::executor
