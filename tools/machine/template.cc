#include "tools/machine/template.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace hearth::guest {
namespace {

constexpr const char* kTmpfs = "/dev/shm";
constexpr const char* kStateName = "state";

// RAM is where it is: only the rest is written.
Result<void> LeaveRamOut(Qmp& monitor) {
  const nlohmann::json capability = {{"capability", "x-ignore-shared"}, {"state", true}};
  auto set = monitor.Execute("migrate-set-capabilities", {{"capabilities", nlohmann::json::array({capability})}});
  if (!set) return std::unexpected(set.error());
  return {};
}

// Opens the state and hands it to QEMU as kStateName.
Result<void> GiveState(Qmp& monitor, const std::string& path, int flags) {
  const int file = open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (file < 0) return Fail(Code::kUnavailable, path + ": " + std::strerror(errno));
  auto given = monitor.GiveDescriptor(kStateName, file);
  close(file);
  return given;
}

}  // namespace

Result<std::unique_ptr<MachineTemplate>> MachineTemplate::Save(const std::string& image, std::int32_t memory_mib) {
  std::unique_ptr<MachineTemplate> saved(new MachineTemplate());
  std::string folder = std::string(kTmpfs) + "/hearth-template-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr)
    return Fail(Code::kUnavailable, std::string("a folder in ") + kTmpfs + ": " + std::strerror(errno));
  saved->folder_ = folder;
  MachineOptions& options = saved->options_;
  options.image = image;
  options.memory_mib = memory_mib;
  options.ram_file = folder + "/ram";
  options.monitor = true;
  options.share_ram = true;
  auto machine = Machine::Start(options);
  if (!machine) return std::unexpected(machine.error());
  auto hello = (*machine)->Expect<Hello>(0, kBootTimeout);
  if (!hello) return FailWith("template", hello.error());
  saved->hello_ = std::move(*hello);
  auto monitor = (*machine)->monitor();
  if (!monitor) return std::unexpected(monitor.error());
  Result<void> done = LeaveRamOut(**monitor);
  if (done) done = GiveState(**monitor, folder + "/" + kStateName, O_WRONLY | O_CREAT | O_EXCL);
  if (done) {
    // The machine runs on until the state is written: one that is stopped first stays stopped in every clone.
    auto begun = (*monitor)->Execute("migrate", {{"uri", std::string("fd:") + kStateName}});
    done = begun ? (*monitor)->AwaitMigration() : std::unexpected(begun.error());
  }
  if (!done) return FailWith("template", done.error());
  options.share_ram = false;
  options.incoming = true;
  return saved;
}

MachineTemplate::~MachineTemplate() {
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

Result<std::unique_ptr<Machine>> MachineTemplate::MakeShell() const {
  auto shell = Machine::Start(options_);
  if (!shell) return shell;
  auto monitor = (*shell)->monitor();
  if (!monitor) return std::unexpected(monitor.error());
  if (auto set = LeaveRamOut(**monitor); !set) return std::unexpected(set.error());
  return shell;
}

Result<void> MachineTemplate::Activate(Machine& shell) const {
  auto monitor = shell.monitor();
  if (!monitor) return std::unexpected(monitor.error());
  if (auto given = GiveState(**monitor, folder_ + "/" + kStateName, O_RDONLY); !given) return given;
  auto begun = (*monitor)->Execute("migrate-incoming", {{"uri", std::string("fd:") + kStateName}});
  if (!begun) return std::unexpected(begun.error());
  return {};
}

}  // namespace hearth::guest
