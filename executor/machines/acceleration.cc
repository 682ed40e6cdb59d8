#include "executor/machines/acceleration.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

namespace hearth::executor {
namespace {

constexpr std::size_t kMaxReasonBytes = 400;

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string DescribeDevice(const std::string& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) return "absent";
  return fmt::format("{}:{}:{:o}", status.st_uid, status.st_gid, status.st_mode & 07777U);
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Best effort: without the file the next start proves it again.
void WriteWhole(const std::string& path, const std::string& text) {
  const std::string beside = path + ".new";
  std::ofstream file(beside, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (file) rename(beside.c_str(), path.c_str());
}

// QEMU's last words are at the end; before them libvirt may put the whole command line.
std::string OneLine(std::string text) {
  if (text.size() > kMaxReasonBytes) text = "… " + text.substr(text.size() - kMaxReasonBytes);
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

}  // namespace

std::string EncodeProof(const AccelerationProof& proof) {
  const nlohmann::json object = {{"image", proof.image},
                                 {"boot_id", proof.boot_id},
                                 {"device", proof.device},
                                 {"acceleration", AccelerationName(proof.acceleration)},
                                 {"reason", proof.reason}};
  return object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Result<AccelerationProof> DecodeProof(std::string_view text) {
  const auto object = nlohmann::json::parse(text, nullptr, false);
  if (!object.is_object()) return Fail(Code::kInvalid, "not a proof of acceleration");
  AccelerationProof proof;
  std::string acceleration;
  for (const auto& [key, field] :
       {std::pair{"image", &proof.image}, std::pair{"boot_id", &proof.boot_id}, std::pair{"device", &proof.device},
        std::pair{"acceleration", &acceleration}, std::pair{"reason", &proof.reason}}) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_string()) {
      return Fail(Code::kInvalid, fmt::format("proof of acceleration: no text under '{}'", key));
    }
    *field = found->get<std::string>();
  }
  if (acceleration != "kvm" && acceleration != "tcg") {
    return Fail(Code::kInvalid, "proof of acceleration: neither kvm nor tcg");
  }
  proof.acceleration = acceleration == "kvm" ? Acceleration::kKvm : Acceleration::kTcg;
  return proof;
}

std::optional<std::string> KvmDeviceFault(const std::string& device) {
  const int opened = open(device.c_str(), O_RDWR | O_CLOEXEC);
  if (opened < 0) return fmt::format("{} does not open: {}", device, std::generic_category().message(errno));
  close(opened);
  return std::nullopt;
}

AccelerationProver::AccelerationProver(Loop& loop, Hypervisor& hypervisor, MachineImage image, Options options,
                                       std::function<void(Result<Outcome>)> done)
    : loop_(loop),
      hypervisor_(hypervisor),
      image_(std::move(image)),
      options_(std::move(options)),
      done_(std::move(done)),
      starter_(hypervisor),
      begin_(loop, [this] { Begin(); }) {
  begin_.StartOnce(0);
}

AccelerationProver::~AccelerationProver() = default;

void AccelerationProver::Begin() {
  if (options_.choice == AccelerationChoice::kTcg) {
    return Conclude(Acceleration::kTcg, "accel = \"tcg\" in the configuration", false);
  }
  if (auto fault = KvmDeviceFault(options_.device)) return Conclude(Acceleration::kTcg, std::move(*fault), false);
  proof_.image = image_.hash;
  proof_.boot_id = FirstLine(options_.boot_id_file);
  proof_.device = DescribeDevice(options_.device);
  if (const auto kept = DecodeProof(ReadAll(options_.proof_file));
      kept && kept->image == proof_.image && kept->boot_id == proof_.boot_id && kept->device == proof_.device) {
    return Conclude(kept->acceleration, kept->reason, false);
  }
  StartMachine();
}

void AccelerationProver::StartMachine() {
  FleetOptions options = options_.fleet;
  options.acceleration = Acceleration::kKvm;
  options.folder_prefix = "kvm-proof";
  options.hello_within_ms = kProofHelloMs;
  Fleet::Callbacks callbacks;
  callbacks.ready = [this](const MachineId& machine, StartPath, guest::Hello) {
    heard_ = true;
    fleet_->Destroy(machine);
  };
  callbacks.failed = [this](const MachineId& machine, std::string reason) {
    fault_ = std::move(reason);
    fleet_->Destroy(machine);
  };
  callbacks.lost = [](const MachineId&, std::string) {};  // it has said HELLO; Destroy is under way
  callbacks.frame = [](const MachineId&, guest::Frame) {};
  callbacks.destroyed = [this](const MachineId&) {
    if (heard_) return Conclude(Acceleration::kKvm, "", true);
    Conclude(Acceleration::kTcg,
             fmt::format("{} opens but a machine of the image does not start under it: {}", options_.device,
                         OneLine(std::move(fault_))),
             true);
  };
  fleet_ = std::make_unique<Fleet>(loop_, hypervisor_, starter_, image_, options, std::move(callbacks));
  fleet_->Start(MachineId(fmt::format("{}-{}-kvm-proof", options.executor.value, options.incarnation)),
                options_.profile, false);
}

void AccelerationProver::Conclude(Acceleration acceleration, std::string reason, bool keep) {
  proof_.acceleration = acceleration;
  proof_.reason = reason;
  if (keep) WriteWhole(options_.proof_file, EncodeProof(proof_));
  const bool demanded = options_.choice == AccelerationChoice::kKvm || options_.require_kvm;
  if (demanded && acceleration != Acceleration::kKvm) {
    return done_(Fail(Code::kUnavailable, "KVM is demanded by the configuration and is not to be had: " + reason));
  }
  if (reason.empty()) reason = "a machine of the image said HELLO under it";
  done_(Outcome{acceleration, std::move(reason)});
}

}  // namespace hearth::executor
