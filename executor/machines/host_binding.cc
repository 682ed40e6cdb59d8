#include "executor/machines/host_binding.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <string_view>

#include "common/base/sha256.h"
#include "executor/machines/fleet.h"
#include "executor/machines/monitor.h"

namespace hearth::executor {
namespace {

constexpr const char* kProcessorFile = "/proc/cpuinfo";
constexpr const char* kBootIdFile = "/proc/sys/kernel/random/boot_id";
constexpr std::string_view kModelKeys[] = {"model name", "microcode", "flags"};

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Under KVM the guest sees the host's processor; an emulated one is the same everywhere.
std::string DescribeProcessor(Acceleration acceleration) {
  if (acceleration == Acceleration::kTcg) return "emulated";
  std::ifstream file(kProcessorFile);
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

}  // namespace

Binding BindingOnThisHost(Way way, const MachineImage& image, Acceleration acceleration, const Profile& profile) {
  Binding binding;
  binding.way = WayName(way);
  binding.image = image.hash;
  binding.processor = DescribeProcessor(acceleration);
  binding.boot_id = FirstLine(kBootIdFile);
  binding.acceleration = AccelerationName(acceleration);
  binding.memory_mib = profile.memory_mib;
  binding.vcpus = profile.vcpus;
  binding.devices = HashOfDevices(DescribeMachine(image, acceleration, profile));
  return binding;
}

Result<void> AddVersions(_virConnect* connection, Binding& binding) {
  const auto version = EmulatorVersion(connection);
  if (!version) return std::unexpected(version.error());
  binding.emulator = fmt::format("{}, {}", *version, DescribeFile(DomainSpec().emulator));
  binding.libvirt = LibvirtVersion(connection);
  return {};
}

}  // namespace hearth::executor
