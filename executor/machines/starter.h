// How a domain comes up until its agent says HELLO. One interface; booting is the way that always works.
#pragma once

#include <functional>

#include "common/base/result.h"
#include "executor/machines/domain_xml.h"
#include "executor/machines/hypervisor.h"
#include "schemas/result.h"

namespace hearth::executor {

class MachineStarter {
 public:
  virtual ~MachineStarter() = default;
  // What a machine made this way counts as: kBoot or kRestore.
  [[nodiscard]] virtual StartPath path() const = 0;
  // Makes the domain run. `done` is called once, on the loop's thread; the agent's HELLO may come before it. After a
  // failure there may still be a domain of that name.
  virtual void Start(const DomainSpec& spec, std::function<void(Result<void>)> done) = 0;
};

// From nothing: kernel, initramfs, agent.
class BootStarter : public MachineStarter {
 public:
  explicit BootStarter(Hypervisor& hypervisor) : hypervisor_(hypervisor) {}
  [[nodiscard]] StartPath path() const override { return StartPath::kBoot; }
  void Start(const DomainSpec& spec, std::function<void(Result<void>)> done) override {
    hypervisor_.Create(BuildDomainXml(spec), std::move(done));
  }

 private:
  Hypervisor& hypervisor_;
};

}  // namespace hearth::executor
