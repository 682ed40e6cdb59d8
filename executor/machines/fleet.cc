#include "executor/machines/fleet.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "executor/machines/fleet_machine.h"

namespace hearth::executor {

namespace fs = std::filesystem;

Fleet::Fleet(Loop& loop, Hypervisor& hypervisor, MachineStarter& boot, MachineImage image, FleetOptions options,
             Callbacks callbacks)
    : loop_(loop),
      hypervisor_(hypervisor),
      boot_(boot),
      image_(std::move(image)),
      options_(std::move(options)),
      callbacks_(std::move(callbacks)),
      shell_retry_(loop, [this] { MakeShells(); }) {}

Fleet::~Fleet() {
  *alive_ = false;
}

void Fleet::Later(std::function<void()> work) {
  loop_.Post([alive = alive_, work = std::move(work)] {
    if (*alive) work();
  });
}

void Fleet::Machine::Move(MachineStage to) {
  if (!CanMove(stage_, to)) {
    fmt::print(stderr, "{} cannot move from {} to {}\n", domain, StageName(stage_), StageName(to));
    std::abort();
  }
  stage_ = to;
}

bool Fleet::Machine::confirmed() const {
  using enum MachineStage;
  switch (stage_) {
    case kPreparing:
    case kCreating:
    case kRemoving: return false;
    case kWaitingShell:
    case kFilling: return true;
    case kGreeting:
    case kWarmingUp:
    case kReady: return !answer_owed;
  }
  return false;
}

Fleet::Machine* Fleet::Find(const MachineId& machine_id) {
  const auto found = machines_.find(machine_id);
  return found == machines_.end() ? nullptr : found->second.get();
}

Fleet::Machine* Fleet::FindDomain(const std::string& domain) {
  const auto found =
      std::find_if(machines_.begin(), machines_.end(), [&](const auto& each) { return each.second->domain == domain; });
  return found == machines_.end() ? nullptr : found->second.get();
}

DomainSpec DescribeMachine(const MachineImage& image, Acceleration acceleration, const Profile& profile) {
  DomainSpec spec;
  spec.acceleration = acceleration;
  spec.memory_mib = profile.memory_mib;
  spec.vcpus = profile.vcpus;
  spec.kernel = image.kernel;
  spec.initrd = image.initrd;
  spec.cmdline = image.cmdline(acceleration);
  spec.root_image = image.root_image;
  return spec;
}

DomainSpec Fleet::MakeSpec(const Machine& machine, const Profile& profile) const {
  DomainSpec spec = DescribeMachine(image_, options_.acceleration, profile);
  spec.name = machine.domain;
  spec.socket = machine.folder + "/agent.sock";
  spec.account = machine.account;
  spec.mark = {options_.executor, options_.incarnation, machine.machine_id, UserId(), profile.name};
  return spec;
}

Fleet::Machine& Fleet::Add(const MachineId& machine_id, const Profile& profile, std::shared_ptr<MachineStarter> owned,
                           MachineStarter& starter) {
  auto made = std::make_unique<Machine>();
  Machine& machine = *made;
  machine.machine_id = machine_id;
  machine.id = std::make_shared<MachineId>(machine_id);
  machine.domain = DomainName(machine_id);
  machine.profile = profile.name;
  machine.memory_mib = profile.memory_mib;
  machine.owned = std::move(owned);
  machine.starter = &starter;
  while (slots_.contains(machine.slot)) ++machine.slot;
  slots_.insert(machine.slot);
  machine.folder = fmt::format("{}/{}{}", options_.run_dir, options_.folder_prefix, machine.slot);
  if (options_.first_account) {
    machine.account = MachineAccount{options_.first_account->uid + machine.slot, options_.first_account->gid};
  }
  machines_[machine_id] = std::move(made);
  return machine;
}

Result<void> Fleet::OpenSocket(Machine& machine, std::int64_t hello_within_ms) {
  if (machine.account && machine.slot >= options_.accounts) {  // the next ones are another executor's
    return Fail(Code::kExhausted, fmt::format("all {} accounts for machines are in use", options_.accounts));
  }
  std::error_code error;
  fs::remove_all(machine.folder, error);
  if (mkdir(machine.folder.c_str(), 0700) != 0) {
    return Fail(Code::kUnavailable,
                fmt::format("cannot make {}: {}", machine.folder, std::generic_category().message(errno)));
  }
  const std::string socket = machine.folder + "/agent.sock";
  GuestLink::Callbacks callbacks;
  callbacks.connected = [this, id = machine.id] {
    Machine* found = Find(*id);
    if (found == nullptr || found->removing()) return;
    if (const auto process = found->link->process()) {
      found->process = Process(*process);
      if (callbacks_.process) callbacks_.process(*process);
    }
    if (found->awaits_greeting()) found->link->Greet();
    if (found->shell) Later([this] { MakeShells(); });  // tells that it waits
  };
  callbacks.hello = [this, id = machine.id](guest::Hello hello) { Greeted(*id, std::move(hello)); };
  callbacks.frame = [this, id = machine.id](guest::Frame frame) { Heard(*id, std::move(frame)); };
  callbacks.lost = [this, id = machine.id](std::string reason) { Broken(*id, std::move(reason)); };
  auto link = GuestLink::Listen(loop_, socket, hello_within_ms, std::move(callbacks));
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

void Fleet::Start(const MachineId& machine_id, const Profile& profile, bool warm_up) {
  Supply& supply = supplies_[profile.name];
  supply.profile = profile;
  if (supply.starter != nullptr && TakeShell(machine_id, supply, warm_up)) return;
  Machine& machine = Add(machine_id, profile, supply.starter,
                         supply.starter != nullptr ? *supply.starter : static_cast<MachineStarter&>(boot_));
  machine.warm_up = warm_up;
  Begin(machine, profile);
}

void Fleet::StartAside(const MachineId& machine_id, const Profile& profile, MachineStarter& starter, Watch watch) {
  Machine& machine = Add(machine_id, profile, nullptr, starter);
  machine.watch = std::move(watch);
  Begin(machine, profile);
}

void Fleet::Begin(Machine& machine, const Profile& profile) {
  if (auto opened = OpenSocket(machine, machine.watch ? options_.aside_within_ms : options_.start_within_ms); !opened) {
    Later([this, machine_id = machine.machine_id, reason = opened.error().message] { Broken(machine_id, reason); });
    return;
  }
  machine.Move(MachineStage::kCreating);
  machine.answer_owed = true;
  machine.starter->Start(MakeSpec(machine, profile),
                         [this, alive = alive_, machine_id = machine.machine_id](Result<void> result) {
                           if (*alive) Created(machine_id, std::move(result));
                         });
}

void Fleet::Created(const MachineId& machine_id, Result<void> result) {
  Machine* machine = Find(machine_id);
  if (machine == nullptr) return;
  machine->answer_owed = false;
  if (machine->removing()) return DestroyDomain(*machine);
  if (!result) return Broken(machine_id, result.error().message);
  if (!machine->fault.empty()) return Broken(machine_id, std::move(machine->fault));
  Share(*machine);
  if (!machine->hello) {
    machine->Move(MachineStage::kGreeting);
    machine->link->ExpectHelloWithin(machine->watch ? options_.aside_within_ms : options_.hello_within_ms);
    if (machine->awaits_greeting()) GreetUntilHello(*machine);
  }
  MakeShells();
}

// Not before libvirt has answered: until then it moves the process's threads itself.
void Fleet::Share(const Machine& machine) {
  if (options_.shares == nullptr || machine.answer_owed || machine.link == nullptr) return;
  const auto process = machine.link->process();
  if (!process) return;
  if (machine.user.empty()) return options_.shares->TakeIn(*process, machine.machine_id);
  options_.shares->Assign(*process, machine.user, machine.machine_id, machine.rank, machine.memory_mib);
}

void Fleet::Greeted(const MachineId& machine_id, guest::Hello hello) {
  Machine* machine = Find(machine_id);
  if (machine == nullptr || machine->removing()) return;
  if (machine->shell) return Broken(machine_id, "a shell that was not filled said HELLO");
  if (machine->stage() == MachineStage::kPreparing) return;  // nothing was started that could have said it
  machine->hello = std::move(hello);
  machine->clock.reset();
  // A machine that was booted has warmed up before its HELLO; in a restored one nothing has run yet.
  if (!machine->warm_up || machine->starter->path() != StartPath::kRestore) return Ready(*machine);
  machine->Move(MachineStage::kWarmingUp);
  machine->clock = std::make_unique<Timer>(
      loop_, [this, id = machine->id] { Broken(*id, "the runtimes did not run in the time allowed"); });
  machine->clock->StartOnce(options_.hello_within_ms);
  (void)machine->link->Send({0, guest::WarmUp{}});
}

void Fleet::Ready(Machine& machine) {
  machine.Move(MachineStage::kReady);
  if (machine.watch) {
    if (const auto ready = machine.watch->ready) ready(machine.domain, std::move(*machine.hello));
    return;
  }
  if (callbacks_.outcome && machine.starter != &boot_) callbacks_.outcome(machine.profile, machine.starter, "");
  callbacks_.ready(machine.machine_id, machine.starter->path(), std::move(*machine.hello));
}

void Fleet::Heard(const MachineId& machine_id, guest::Frame frame) {
  Machine* machine = Find(machine_id);
  if (machine == nullptr || machine->removing()) return;
  const bool warming_up = machine->stage() == MachineStage::kWarmingUp;
  if (auto* warmed = std::get_if<guest::Warmed>(&frame.message); warmed != nullptr && warming_up) {
    machine->clock.reset();
    machine->hello->runtimes = std::move(warmed->runtimes);
    return Ready(*machine);
  }
  if (machine->stage() == MachineStage::kReady && !machine->watch) callbacks_.frame(machine_id, std::move(frame));
}

void Fleet::Broken(const MachineId& machine_id, std::string reason) {
  Machine* machine = Find(machine_id);
  if (machine == nullptr || machine->removing()) return;
  const bool was_ready = machine->stage() == MachineStage::kReady;
  if (machine->answer_owed && !was_ready) {
    machine->fault = std::move(reason);
    return;
  }
  if (machine->shell) return ShellEnded(*machine, reason);
  // What fails before the starter was asked says nothing of the way.
  const bool asked = machine->stage() != MachineStage::kPreparing;
  const bool own_way = asked && machine->starter != &boot_ && !machine->watch;
  const std::string profile = machine->profile;
  const MachineStarter* starter = machine->starter;
  const auto ended = machine->watch ? machine->watch->ended : nullptr;
  const bool watched = machine->watch.has_value();
  Remove(*machine);
  if (watched) {
    if (ended) ended(std::move(reason));
    return;
  }
  if (!was_ready && own_way && callbacks_.outcome) callbacks_.outcome(profile, starter, reason);
  (was_ready ? callbacks_.lost : callbacks_.failed)(machine_id, std::move(reason));
}

Result<void> Fleet::Send(const MachineId& machine_id, const guest::Frame& frame) {
  Machine* machine = Find(machine_id);
  if (machine == nullptr || machine->link == nullptr) return {};
  return machine->link->Send(frame);
}

void Fleet::SendArchive(const MachineId& machine_id, const CodeHash& hash, std::shared_ptr<const std::string> bytes,
                        std::function<void()> sent) {
  Machine* machine = Find(machine_id);
  if (machine != nullptr && machine->link != nullptr)
    machine->link->SendArchive(hash, std::move(bytes), std::move(sent));
}

void Fleet::MarkOwner(const MachineId& machine_id, const UserId& user, std::int32_t rank) {
  Machine* machine = Find(machine_id);
  if (machine == nullptr || machine->removing()) return;
  if (!user.empty()) {
    machine->user = user;
    machine->rank = rank;
    Share(*machine);
  }
  machine->mark = std::make_unique<Timer>(loop_, [this, machine_id, user] {
    const Machine* marked = Find(machine_id);
    if (marked == nullptr || marked->removing()) return;
    // A mark without the user costs operators a name and nothing else: the table here decides.
    hypervisor_.SetMark(marked->domain, {options_.executor, options_.incarnation, machine_id, user, marked->profile},
                        [](Result<void>) {});
  });
  machine->mark->StartOnce(kMarkAfterMs);
}

}  // namespace hearth::executor
