#include "executor/machines/fleet.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

namespace hearth::executor {

namespace fs = std::filesystem;

struct Fleet::Machine {
  InstanceId instance;
  std::string profile;
  std::uint32_t slot = 0;
  std::optional<MachineAccount> account;
  std::string folder;
  std::unique_ptr<GuestLink> link;
  std::unique_ptr<Timer> retry;  // of the destroy call
  bool creating = false;         // libvirt has not answered the start yet
  bool created = false;          // it has, with success
  bool ready = false;            // HELLO came
  bool removing = false;
  std::string fault;           // the link was lost while libvirt still owed its answer, which says more
  bool destroy_asked = false;  // Destroy was called: owes the answer
};

Fleet::Fleet(Loop& loop, Hypervisor& hypervisor, MachineStarter& starter, MachineImage image, FleetOptions options,
             Callbacks callbacks)
    : loop_(loop),
      hypervisor_(hypervisor),
      starter_(starter),
      image_(std::move(image)),
      options_(std::move(options)),
      callbacks_(std::move(callbacks)) {}

Fleet::~Fleet() {
  *alive_ = false;
}

void Fleet::Later(std::function<void()> work) {
  loop_.Post([alive = alive_, work = std::move(work)] {
    if (*alive) work();
  });
}

Fleet::Machine* Fleet::Find(const InstanceId& instance) {
  const auto found = machines_.find(instance);
  return found == machines_.end() ? nullptr : found->second.get();
}

DomainSpec Fleet::MakeSpec(const Machine& machine, const Profile& profile) const {
  DomainSpec spec;
  spec.name = DomainName(machine.instance);
  spec.acceleration = options_.acceleration;
  spec.memory_mib = profile.memory_mib;
  spec.vcpus = profile.vcpus;
  spec.kernel = image_.kernel;
  spec.initrd = image_.initrd;
  spec.cmdline = image_.cmdline(options_.acceleration);
  spec.root_image = image_.root_image;
  spec.socket = machine.folder + "/agent.sock";
  spec.account = machine.account;
  spec.mark = {options_.executor, options_.incarnation, machine.instance, UserId(), profile.name};
  return spec;
}

Result<void> Fleet::Prepare(Machine& machine) {
  std::error_code error;
  fs::remove_all(machine.folder, error);
  if (mkdir(machine.folder.c_str(), 0700) != 0) {
    return Fail(Code::kUnavailable,
                fmt::format("cannot make {}: {}", machine.folder, std::generic_category().message(errno)));
  }
  const std::string socket = machine.folder + "/agent.sock";
  GuestLink::Callbacks callbacks;
  callbacks.hello = [this, id = machine.instance](guest::Hello hello) { Greeted(id, std::move(hello)); };
  callbacks.frame = [this, id = machine.instance](guest::Frame frame) { Heard(id, std::move(frame)); };
  callbacks.lost = [this, id = machine.instance](std::string reason) { Broken(id, std::move(reason)); };
  auto link = GuestLink::Listen(loop_, socket, options_.start_within_ms, std::move(callbacks));
  if (!link) return std::unexpected(link.error());
  machine.link = std::move(*link);
  if (machine.account) {
    // QEMU connects under its own account and nobody else's: the folder is its and the executor's (root) alone.
    if (chown(socket.c_str(), machine.account->uid, machine.account->gid) != 0 ||
        chown(machine.folder.c_str(), machine.account->uid, machine.account->gid) != 0) {
      return Fail(Code::kUnavailable, fmt::format("cannot give {} to the machine's account: {}", machine.folder,
                                                  std::generic_category().message(errno)));
    }
  }
  return {};
}

void Fleet::Start(const InstanceId& instance, const Profile& profile) {
  auto owned = std::make_unique<Machine>();
  auto& machine = *owned;
  machine.instance = instance;
  machine.profile = profile.name;
  while (slots_.contains(machine.slot)) ++machine.slot;
  slots_.insert(machine.slot);
  machine.folder = fmt::format("{}/{}{}", options_.run_dir, options_.folder_prefix, machine.slot);
  if (options_.first_account) {
    machine.account = MachineAccount{options_.first_account->uid + machine.slot, options_.first_account->gid};
  }
  machines_[instance] = std::move(owned);
  if (auto prepared = Prepare(machine); !prepared) {
    Later([this, instance, reason = prepared.error().message] { Broken(instance, reason); });
    return;
  }
  machine.creating = true;
  starter_.Start(MakeSpec(machine, profile), [this, alive = alive_, instance](Result<void> result) {
    if (*alive) Created(instance, std::move(result));
  });
}

void Fleet::Created(const InstanceId& instance, Result<void> result) {
  Machine* machine = Find(instance);
  if (machine == nullptr) return;
  machine->creating = false;
  machine->created = result.has_value();
  if (machine->removing) return Remove(*machine);
  if (!result) return Broken(instance, result.error().message);
  if (!machine->fault.empty()) return Broken(instance, std::move(machine->fault));
  if (!machine->ready) machine->link->ExpectHelloWithin(options_.hello_within_ms);
}

void Fleet::Greeted(const InstanceId& instance, guest::Hello hello) {
  Machine* machine = Find(instance);
  if (machine == nullptr || machine->removing) return;
  machine->ready = true;
  callbacks_.ready(instance, starter_.path(), std::move(hello));
}

void Fleet::Heard(const InstanceId& instance, guest::Frame frame) {
  const Machine* machine = Find(instance);
  if (machine != nullptr && !machine->removing) callbacks_.frame(instance, std::move(frame));
}

void Fleet::Broken(const InstanceId& instance, std::string reason) {
  Machine* machine = Find(instance);
  if (machine == nullptr || machine->removing) return;
  if (machine->creating && !machine->ready) {
    machine->fault = std::move(reason);
    return;
  }
  const bool was_ready = machine->ready;
  Remove(*machine);
  (was_ready ? callbacks_.lost : callbacks_.failed)(instance, std::move(reason));
}

void Fleet::Remove(Machine& machine) {
  machine.removing = true;
  if (machine.link != nullptr) {
    ended_.push_back(std::move(machine.link));
    Later([this] { ended_.clear(); });
  }
  if (machine.creating) return;  // Created comes back here: a domain that appears later must not be missed
  hypervisor_.Destroy(DomainName(machine.instance),
                      [this, alive = alive_, instance = machine.instance](Result<void> r) {
                        if (*alive) Removed(instance, std::move(r));
                      });
}

void Fleet::Removed(const InstanceId& instance, Result<void> result) {
  Machine* machine = Find(instance);
  if (machine == nullptr) return;
  if (!result) {
    machine->retry = std::make_unique<Timer>(loop_, [this, instance] {
      if (Machine* again = Find(instance)) Remove(*again);
    });
    machine->retry->StartOnce(kDestroyRetryMs);
    return;
  }
  const bool answer = machine->destroy_asked;
  std::error_code error;
  fs::remove_all(machine->folder, error);
  slots_.erase(machine->slot);
  machines_.erase(instance);
  if (answer) callbacks_.destroyed(instance);
  if (machines_.empty() && on_empty_) std::exchange(on_empty_, nullptr)();
}

void Fleet::DestroyAll(std::function<void()> done) {
  if (machines_.empty()) return Later(std::move(done));
  on_empty_ = std::move(done);
  for (const auto& [id, machine] : machines_) {
    if (!machine->removing) Remove(*machine);
  }
}

void Fleet::Destroy(const InstanceId& instance) {
  Machine* machine = Find(instance);
  if (machine == nullptr) {
    Later([this, instance] { callbacks_.destroyed(instance); });
    return;
  }
  machine->destroy_asked = true;
  if (!machine->removing) Remove(*machine);
}

void Fleet::Send(const InstanceId& instance, const guest::Frame& frame) {
  Machine* machine = Find(instance);
  if (machine != nullptr && machine->link != nullptr) machine->link->Send(frame);
}

void Fleet::MarkOwner(const InstanceId& instance, const UserId& user) {
  const Machine* machine = Find(instance);
  if (machine == nullptr || machine->removing) return;
  // A mark without the user costs operators a name and nothing else: the table here decides.
  hypervisor_.SetMark(DomainName(instance), {options_.executor, options_.incarnation, instance, user, machine->profile},
                      [](Result<void>) {});
}

void Fleet::Reconcile(std::function<void(Result<std::size_t>)> done) {
  auto running = std::make_shared<std::set<InstanceId>>();
  for (const auto& [id, machine] : machines_) {
    if (machine->created && !machine->removing) running->insert(id);
  }
  hypervisor_.List([this, alive = alive_, running, done = std::move(done)](Result<std::vector<MarkedDomain>> listed) {
    if (!*alive) return;
    if (!listed) {
      if (done) done(std::unexpected(listed.error()));
      return;
    }
    std::set<InstanceId> known;
    for (const auto& [id, machine] : machines_) known.insert(id);
    const auto plan = executor::Reconcile(*listed, options_.executor, options_.incarnation, known, *running);
    for (const auto& instance : plan.missing) Broken(instance, "its domain is gone");
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
