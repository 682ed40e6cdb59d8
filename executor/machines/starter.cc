#include "executor/machines/starter.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <system_error>
#include <utility>

#include "executor/machines/save_image.h"

namespace hearth::executor {
namespace {

constexpr std::int64_t kMib = 1LL << 20;
constexpr std::int64_t kMaxSaveImageBytes = 8LL << 30;

// A domain whose memory is `memory`: QEMU opens it while the call runs, and the keeper is not needed after it.
Result<void> CreateOn(_virConnect* connection, DomainSpec spec, const MemoryFile& memory, bool shared) {
  auto keeper = MemoryKeeper::Start(memory.descriptor(), spec.account);
  if (!keeper) return std::unexpected(keeper.error());
  spec.memory = MemoryBacking{(*keeper)->path(), shared};
  return CreateDomain(connection, BuildDomainXml(spec));
}

Result<void> CreateShell(_virConnect* connection, const DomainSpec& spec, const SavedMachine& saved,
                         MonitorCount& count) {
  DomainSpec shell = spec;
  shell.incoming = true;
  if (auto created = CreateOn(connection, shell, *saved.memory, false); !created) return created;
  auto state = saved.state.Reopen();
  if (!state) return std::unexpected(state.error());
  return OfferState(connection, spec.name, state->get(), count);
}

}  // namespace

void TemplateStarter::Start(const DomainSpec& spec, Done done) {
  hypervisor_.Run(
      Lane::kStart,
      [spec, saved = saved_, &count = hypervisor_.monitor_commands()](_virConnect* connection) -> Result<void> {
        if (auto made = CreateShell(connection, spec, *saved, count); !made) return made;
        return ActivateShell(connection, spec.name, count);
      },
      std::move(done));
}

void TemplateStarter::MakeShell(const DomainSpec& spec, Done done) {
  hypervisor_.Run(
      Lane::kBehind,
      [spec, saved = saved_, &count = hypervisor_.monitor_commands()](_virConnect* connection) {
        return CreateShell(connection, spec, *saved, count);
      },
      std::move(done));
}

void TemplateStarter::Activate(const std::string& domain, Done done) {
  hypervisor_.Run(
      Lane::kActivate,
      [domain, &count = hypervisor_.monitor_commands()](_virConnect* connection) {
        return ActivateShell(connection, domain, count);
      },
      std::move(done));
}

void SaveStarter::Start(const DomainSpec& spec, Done done) {
  const std::string path = fmt::format("{}/{}.restore", folder_, spec.name);
  hypervisor_.Run(
      Lane::kStart,
      [spec, saved = saved_, path](_virConnect* connection) -> Result<void> {
        auto written = WriteSaveImage(saved->state.descriptor(), spec, path);
        if (written) written = RestoreDomain(connection, path);
        unlink(path.c_str());
        return written;
      },
      std::move(done));
}

struct Recorder::Tape {
  std::optional<MemoryFile> state;
  std::optional<MemoryFile> memory;
};

Recorder::Recorder(Hypervisor& hypervisor, Way way, std::string image)
    : hypervisor_(hypervisor), way_(way), image_(std::move(image)), tape_(std::make_shared<Tape>()) {}

Recorder::~Recorder() = default;

void Recorder::Start(const DomainSpec& spec, Done done) {
  hypervisor_.Run(
      Lane::kBehind,
      [spec, way = way_, tape = tape_](_virConnect* connection) -> Result<void> {
        if (way == Way::kSave) return CreateDomain(connection, BuildDomainXml(spec));
        auto memory = MemoryFile::Create("hearth-template", spec.memory_mib * kMib);
        if (!memory) return std::unexpected(memory.error());
        tape->memory = std::move(*memory);
        return CreateOn(connection, spec, *tape->memory, true);
      },
      std::move(done));
}

void Recorder::Save(const std::string& domain, Done done) {
  hypervisor_.Run(
      Lane::kBehind,
      [domain, way = way_, image = image_, tape = tape_,
       &count = hypervisor_.monitor_commands()](_virConnect* connection) -> Result<void> {
        if (way == Way::kSave) return SaveDomain(connection, domain, image);
        auto state = MemoryFile::Create("hearth-state", 0);
        if (!state) return std::unexpected(state.error());
        tape->state = std::move(*state);
        return SaveState(connection, domain, tape->state->descriptor(), count);
      },
      std::move(done));
}

Result<Recorder::Parts> Recorder::Take() {
  if (way_ == Way::kSave) {
    auto state = MemoryFile::ReadFrom(image_, kMaxSaveImageBytes);
    unlink(image_.c_str());
    if (!state) return std::unexpected(state.error());
    return Parts{std::move(*state), std::nullopt};
  }
  if (!tape_->state || !tape_->memory) return Fail(Code::kInternal, "nothing was saved");
  return Parts{std::move(*tape_->state), std::exchange(tape_->memory, std::nullopt)};
}

}  // namespace hearth::executor
