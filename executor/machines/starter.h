// How a domain comes up until its agent says HELLO. One interface for the three ways (saved_machine.h); booting is the
// one that always works.
#pragma once

#include <functional>
#include <memory>

#include "common/base/result.h"
#include "executor/machines/domain_xml.h"
#include "executor/machines/hypervisor.h"
#include "executor/machines/saved_machine.h"
#include "schemas/result.h"

namespace hearth::executor {

class MachineStarter {
 public:
  using Done = std::function<void(Result<void>)>;
  virtual ~MachineStarter() = default;
  [[nodiscard]] virtual Way way() const = 0;
  // What a machine made this way counts as. A restored agent has said HELLO before it was saved: it has to be greeted.
  [[nodiscard]] StartPath path() const { return way() == Way::kBoot ? StartPath::kBoot : StartPath::kRestore; }
  // Makes the domain run. `done` is called once, on the loop's thread; the agent's HELLO may come before it. After a
  // failure there may still be a domain of that name.
  virtual void Start(const DomainSpec& spec, Done done) = 0;

  // Whether a machine can be made in two steps, the slow one ahead of time.
  [[nodiscard]] virtual bool has_shells() const { return false; }
  // Makes a shell: a domain that waits to be filled.
  virtual void MakeShell(const DomainSpec&, Done done) { done(Fail(Code::kInvalid, "this way knows no shells")); }
  // Fills the shell of that name; it is a machine then, and has to be greeted.
  virtual void Activate(const std::string&, Done done) { done(Fail(Code::kInvalid, "this way knows no shells")); }
};

// From nothing: kernel, initramfs, agent.
class BootStarter : public MachineStarter {
 public:
  explicit BootStarter(Hypervisor& hypervisor) : hypervisor_(hypervisor) {}
  [[nodiscard]] Way way() const override { return Way::kBoot; }
  void Start(const DomainSpec& spec, Done done) override { hypervisor_.Create(BuildDomainXml(spec), std::move(done)); }

 private:
  Hypervisor& hypervisor_;
};

// From a template: its memory is mapped copy on write, its state loaded into the waiting domain.
class TemplateStarter : public MachineStarter {
 public:
  TemplateStarter(Hypervisor& hypervisor, std::shared_ptr<const SavedMachine> saved)
      : hypervisor_(hypervisor), saved_(std::move(saved)) {}
  [[nodiscard]] Way way() const override { return Way::kTemplate; }
  [[nodiscard]] bool has_shells() const override { return true; }
  void Start(const DomainSpec& spec, Done done) override;
  void MakeShell(const DomainSpec& spec, Done done) override;
  void Activate(const std::string& domain, Done done) override;

 private:
  Hypervisor& hypervisor_;
  const std::shared_ptr<const SavedMachine> saved_;
};

// From libvirt's own save image, rewritten for each machine (save_image.h).
class SaveStarter : public MachineStarter {
 public:
  // `folder`: for the rewritten images, while libvirt reads them.
  SaveStarter(Hypervisor& hypervisor, std::shared_ptr<const SavedMachine> saved, std::string folder)
      : hypervisor_(hypervisor), saved_(std::move(saved)), folder_(std::move(folder)) {}
  [[nodiscard]] Way way() const override { return Way::kSave; }
  void Start(const DomainSpec& spec, Done done) override;

 private:
  Hypervisor& hypervisor_;
  const std::shared_ptr<const SavedMachine> saved_;
  const std::string folder_;
};

// Boots the machine that will be saved. Save comes once, after HELLO; then the domain has to be destroyed, and Take
// called. The object must not go while a call is under way.
class Recorder : public MachineStarter {
 public:
  // `image`: a file for libvirt to save into, where the way is kSave.
  Recorder(Hypervisor& hypervisor, Way way, std::string image);
  ~Recorder() override;
  [[nodiscard]] Way way() const override { return Way::kBoot; }
  void Start(const DomainSpec& spec, Done done) override;
  void Save(const std::string& domain, Done done);

  struct Parts {
    MemoryFile state;
    std::optional<MemoryFile> memory;
  };
  // What was saved. Blocks; any thread.
  Result<Parts> Take();

 private:
  struct Tape;
  Hypervisor& hypervisor_;
  const Way way_;
  const std::string image_;
  const std::shared_ptr<Tape> tape_;  // the threads of the hypervisor write it, one after the other
};

}  // namespace hearth::executor
