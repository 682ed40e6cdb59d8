// How machines of a fleet end: destroyed, or found to be gone.
#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "executor/machines/fleet_machine.h"
#include "executor/machines/reconcile.h"

namespace hearth::executor {

namespace fs = std::filesystem;

void Fleet::Remove(Machine& machine) {
  machine.Move(MachineStage::kRemoving);
  machine.clock.reset();
  if (machine.link != nullptr) {
    ended_.push_back(std::move(machine.link));
    Later([this] { ended_.clear(); });
  }
  // There is nothing in it to save, and libvirt may be away, or wait for it for long.
  machine.process.Kill();
  if (!machine.answer_owed) return DestroyDomain(machine);
  // Until libvirt has answered, a domain may still appear. Who takes the answer destroys it then. What is there already
  // ends now, and the call that is waited for with it.
  hypervisor_.Destroy(machine.domain, [](const Result<void>&) {});
}

void Fleet::DestroyDomain(const Machine& machine) {
  hypervisor_.Destroy(machine.domain, [this, alive = alive_, machine_id = machine.machine_id](Result<void> r) {
    if (*alive) Removed(machine_id, std::move(r));
  });
}

void Fleet::Removed(const MachineId& machine_id, Result<void> result) {
  Machine* machine = Find(machine_id);
  if (machine == nullptr) return;
  if (!result) {
    machine->retry = std::make_unique<Timer>(loop_, [this, machine_id] {
      if (const Machine* again = Find(machine_id)) DestroyDomain(*again);
    });
    machine->retry->StartOnce(kDestroyRetryMs);
    return;
  }
  const bool answer = machine->destroy_asked;
  const auto watch = std::move(machine->watch);
  std::error_code error;
  fs::remove_all(machine->folder, error);
  slots_.erase(machine->slot);
  if (options_.shares != nullptr) options_.shares->Forget(machine_id);
  machines_.erase(machine_id);
  if (answer && watch && watch->destroyed) watch->destroyed();
  if (answer && !watch) callbacks_.destroyed(machine_id);
  if (machines_.empty() && on_empty_) return std::exchange(on_empty_, nullptr)();
  MakeShells();
}

void Fleet::DestroyAll(std::function<void()> done) {
  going_down_ = true;
  if (machines_.empty()) return Later(std::move(done));
  on_empty_ = std::move(done);
  for (const auto& [id, machine] : machines_) {
    if (machine->watch) machine->watch = Watch();
    if (!machine->removing()) Remove(*machine);
  }
}

std::vector<std::string> Fleet::Left() const {
  std::vector<std::string> left;
  for (const auto& [id, machine] : machines_) {
    left.push_back(machine->domain + (machine->answer_owed ? " (libvirt has not answered its start)" : ""));
  }
  return left;
}

void Fleet::Destroy(const MachineId& machine_id) {
  Machine* machine = Find(machine_id);
  if (machine == nullptr) {
    Later([this, machine_id] { callbacks_.destroyed(machine_id); });
    return;
  }
  machine->destroy_asked = true;
  if (!machine->removing()) Remove(*machine);
}

void Fleet::Reconcile(std::function<void(Result<std::size_t>)> done) {
  auto running = std::make_shared<std::set<std::string>>();
  for (const auto& [id, machine] : machines_) {
    if (machine->confirmed()) running->insert(machine->domain);
  }
  hypervisor_.List([this, alive = alive_, running, done = std::move(done)](Result<std::vector<MarkedDomain>> listed) {
    if (!*alive) return;
    if (!listed) {
      if (done) done(std::unexpected(listed.error()));
      return;
    }
    std::set<std::string> known;
    for (const auto& [id, machine] : machines_) known.insert(machine->domain);
    const auto plan = executor::Reconcile(*listed, options_.executor, options_.incarnation, known, *running);
    for (const auto& domain : plan.missing) {
      if (const Machine* gone = FindDomain(domain)) Broken(MachineId(gone->machine_id), "its domain is gone");
    }
    if (plan.destroy.empty()) {
      if (done) done(std::size_t{0});
      return;
    }
    auto left = std::make_shared<std::size_t>(plan.destroy.size());
    auto failed = std::make_shared<std::optional<Error>>();
    for (const auto& name : plan.destroy) {
      hypervisor_.Destroy(name, [done, left, failed, count = plan.destroy.size()](Result<void> result) {
        if (!result) *failed = result.error();
        if (--*left > 0 || !done) return;
        if (*failed) return done(std::unexpected(**failed));
        done(count);
      });
    }
  });
}

}  // namespace hearth::executor
