// What the process of a machine may do on the host: read from /proc of a QEMU that the real libvirt started, as the
// executor starts it. The same audit of a QEMU started by hand has to find every fault that it looks for.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include "common/base/fd.h"
#include "executor/machines/fleet.h"
#include "executor/machines/network.h"
#include "tests/integration/executor/low_descriptors.h"
#include "tests/integration/executor/run_until.h"

namespace hearth::executor {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kPatienceMs = 90'000;  // the first start of a libvirt probes QEMU, and the host may be loaded
constexpr std::uint32_t kFirstAccount = 1'998'000'000;

std::string ReadText(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> Arguments(pid_t pid) {
  std::vector<std::string> arguments;
  std::istringstream text(ReadText(fmt::format("/proc/{}/cmdline", pid)));
  for (std::string argument; std::getline(text, argument, '\0');) arguments.push_back(argument);
  return arguments;
}

// "Key:\tvalues" of /proc/PID/status.
std::map<std::string, std::vector<std::string>> StatusOf(const fs::path& file) {
  std::map<std::string, std::vector<std::string>> status;
  std::istringstream text(ReadText(file));
  for (std::string line; std::getline(text, line);) {
    const auto colon = line.find(':');
    std::istringstream values(line.substr(colon + 1));
    auto& into = status[line.substr(0, colon)];
    for (std::string value; values >> value;) into.push_back(value);
  }
  return status;
}

// Inodes of all sockets in the process's network that a peer could reach: TCP and UDP, and raw and packet sockets.
std::set<std::string> InternetSockets(pid_t pid) {
  std::set<std::string> inodes;
  for (const char* table : {"tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet"}) {
    std::istringstream text(ReadText(fmt::format("/proc/{}/net/{}", pid, table)));
    std::string line;
    std::getline(text, line);
    const std::size_t column = std::string_view(table) == "packet" ? 8 : 9;
    while (std::getline(text, line)) {
      std::istringstream fields(line);
      std::string field;
      for (std::size_t i = 0; i <= column; ++i) fields >> field;
      inodes.insert(field);
    }
  }
  return inodes;
}

// Regular files and block devices that the process holds open for writing, or has mapped shared and writable.
std::set<std::string> WritableFiles(pid_t pid) {
  std::set<std::string> files;
  const fs::path process = fmt::format("/proc/{}", pid);
  for (const auto& entry : fs::directory_iterator(process / "fd")) {
    std::error_code gone;
    const std::string target = fs::read_symlink(entry.path(), gone).string();
    struct stat status{};
    if (gone || stat(entry.path().c_str(), &status) != 0 || target.starts_with("/memfd:")) continue;
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) continue;
    std::istringstream info(ReadText(process / "fdinfo" / entry.path().filename()));
    for (std::string key, value; info >> key >> value;) {
      if (key == "flags:" && (std::stoul(value, nullptr, 8) & O_ACCMODE) != O_RDONLY) files.insert(target);
    }
  }
  std::istringstream maps(ReadText(process / "maps"));
  for (std::string line; std::getline(maps, line);) {
    const auto path = line.find('/');
    if (path != std::string::npos && line.find(" rw-s ") != std::string::npos &&
        !line.substr(path).starts_with("/memfd:"))
      files.insert(line.substr(path));
  }
  return files;
}

// Interfaces that the process sees; without any of its own there is the loopback alone.
std::vector<std::string> Interfaces(pid_t pid) {
  std::vector<std::string> names;
  std::istringstream table(ReadText(fmt::format("/proc/{}/net/dev", pid)));
  for (std::string line; std::getline(table, line);) {
    std::istringstream fields(line);
    std::string name;
    fields >> name;
    if (name.ends_with(':') && name != "lo:") names.push_back(name);
  }
  return names;
}

fs::path NetworkOf(const fs::path& process) {
  std::error_code hidden;
  return fs::read_symlink(process / "ns/net", hidden);
}

// That of the host, where these tests begin.
const fs::path kHostNetwork = NetworkOf("/proc/self");

// What this thread starts while this lives has a network namespace without interfaces: also what libvirt embeds here.
class NoNetwork {
 public:
  NoNetwork() : before_(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
    EXPECT_EQ(unshare(CLONE_NEWNET), 0) << "a namespace takes root";
  }
  ~NoNetwork() { EXPECT_EQ(setns(before_.get(), CLONE_NEWNET), 0); }
  NoNetwork(const NoNetwork&) = delete;
  NoNetwork& operator=(const NoNetwork&) = delete;

 private:
  Fd before_;
};

// Each fault by a word that begins it. `own` are folders in which the process may write.
std::vector<std::string> Audit(pid_t pid, const std::vector<std::string>& own) {
  std::vector<std::string> faults;
  const fs::path process = fmt::format("/proc/{}", pid);
  for (const auto& thread : fs::directory_iterator(process / "task")) {
    auto status = StatusOf(thread.path() / "status");
    for (const auto& id : status["Uid"]) {
      if (id == "0") faults.emplace_back("uid: root");
    }
    for (const auto& id : status["Gid"]) {
      if (id == "0") faults.emplace_back("gid: root");
    }
    for (const auto& id : status["Groups"]) {
      if (id == "0") faults.emplace_back("groups: root");
    }
    // The bounding set is not asked about: without new privileges nothing can be drawn from it.
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) {
      if (status[set] != std::vector<std::string>{"0000000000000000"})
        faults.push_back(fmt::format("capabilities: {} {}", set, fmt::join(status[set], " ")));
    }
    if (status["NoNewPrivs"] != std::vector<std::string>{"1"}) faults.emplace_back("no-new-privileges");
    if (status["Seccomp"] != std::vector<std::string>{"2"}) faults.emplace_back("seccomp: no filter");
  }

  const auto arguments = Arguments(pid);
  const auto after = [&arguments](const std::string& option) {
    const auto found = std::find(arguments.begin(), arguments.end(), option);
    return found == arguments.end() || found + 1 == arguments.end() ? std::string() : *(found + 1);
  };
  if (after("-sandbox") != "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
    faults.push_back("sandbox: " + after("-sandbox"));
  for (const char* option : {"-nodefaults", "-no-user-config"}) {
    if (after(option).empty()) faults.push_back(fmt::format("defaults: no {}", option));
  }
  for (const auto& argument : arguments) {
    if (argument == "-netdev" || argument == "-nic" || argument == "-net" ||
        argument.find("virtio-net") != std::string::npos || argument.find("e1000") != std::string::npos)
      faults.push_back("network: " + argument);
    if (argument.starts_with("tcp:") || argument.find("vnc") != std::string::npos ||
        argument.find("spice") != std::string::npos || argument.find("fsdev") != std::string::npos ||
        argument.find("vhost") != std::string::npos)
      faults.push_back("door: " + argument);
  }

  if (NetworkOf(process) == kHostNetwork) faults.emplace_back("namespace: the network of the host");
  for (const auto& name : Interfaces(pid)) faults.push_back("interface: " + name);

  const auto internet = InternetSockets(pid);
  for (const auto& entry : fs::directory_iterator(process / "fd")) {
    std::error_code gone;
    const std::string target = fs::read_symlink(entry.path(), gone).string();
    if (target.starts_with("socket:[") && internet.contains(target.substr(8, target.size() - 9)))
      faults.push_back("listener: " + target);
    if (target == "/dev/kvm" || target == "/dev/net/tun" || target.starts_with("/dev/vhost")) {
      if (target != "/dev/kvm") faults.push_back("device: " + target);
    }
  }
  for (const auto& file : WritableFiles(pid)) {
    const auto inside = [&file](const std::string& folder) { return file.starts_with(folder + "/"); };
    if (std::none_of(own.begin(), own.end(), inside)) faults.push_back("writable: " + file);
  }

  std::istringstream limits(ReadText(process / "limits"));
  for (std::string line; std::getline(limits, line);) {
    // What a dump would hold is a user's memory; locked memory and priorities are the host's.
    for (const char* name : {"Max locked memory", "Max nice priority", "Max realtime priority", "Max core file size"}) {
      if (line.starts_with(name) && line.find("unlimited") != std::string::npos)
        faults.push_back("limit: " + line.substr(0, 25));
    }
  }
  return faults;
}

pid_t ProcessOf(const std::string& domain) {
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto arguments = Arguments(std::stoi(name));
    if (arguments.empty() || arguments[0].find("qemu-system") == std::string::npos) continue;
    for (const auto& argument : arguments) {
      if (argument.starts_with("guest=" + domain + ",")) return std::stoi(name);
    }
  }
  return -1;
}

struct Host {
  fs::path folder;
  std::optional<LowDescriptors> low{std::in_place};
  Loop loop;
};

class QemuAuditTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(geteuid(), 0U) << "machines have accounts of their own only where the executor is root";
    host_.low.reset();
    std::string pattern = "/tmp/hearth-a-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    host_.folder = pattern;
    fs::permissions(host_.folder, static_cast<fs::perms>(0755));
  }
  void TearDown() override {
    std::error_code ignored;
    fs::remove_all(host_.folder, ignored);
  }

  Host host_;
};

TEST_F(QemuAuditTest, AMachineHasNoRightsOnTheHost) {
  const char* folder = std::getenv("HEARTH_IMAGE");
  auto image = LoadImage(folder != nullptr ? folder : "");
  if (image) image = StageImage(*image, host_.folder.string());
  ASSERT_TRUE(image) << "HEARTH_IMAGE must name the folder made by tools/dev image: " << image.error().message;
  const char* uri = std::getenv("HEARTH_LIBVIRT_URI");
  HypervisorOptions options;
  options.uri = uri != nullptr ? uri : "qemu:///embed?root=" + (host_.folder / "libvirt").string();
  fs::create_directories(host_.folder / "libvirt/etc");
  std::ofstream(host_.folder / "libvirt/etc/qemu.conf")
      << "user = \"root\"\ngroup = \"root\"\ndynamic_ownership = 0\nremember_owner = 0\n"
         "security_driver = \"none\"\nstdio_handler = \"file\"\nnamespaces = []\n";
  std::optional<NoNetwork> apart;
  if (uri == nullptr) apart.emplace();
  bool up = false;
  std::string reason;
  Hypervisor hypervisor(
      options, [this](std::function<void()> work) { host_.loop.Post(std::move(work)); },
      [&](Hypervisor::State state, const std::string& why) {
        up = state == Hypervisor::State::kUp;
        reason = why;
      });
  ASSERT_TRUE(RunUntil(host_.loop, kPatienceMs, [&up] { return up; })) << reason;

  BootStarter starter(hypervisor);
  FleetOptions fleet_options;
  fleet_options.executor = ExecutorId("audit-" + host_.folder.filename().string());
  fleet_options.incarnation = "life";
  fleet_options.run_dir = (host_.folder / "run").string();
  const group* kvm = getgrnam("kvm");
  fleet_options.first_account = MachineAccount{kFirstAccount, kvm != nullptr ? kvm->gr_gid : 65534};
  fleet_options.start_within_ms = kPatienceMs;
  fleet_options.hello_within_ms = kPatienceMs;
  fs::create_directories(fleet_options.run_dir);
  int ready = 0;
  std::string failed;
  Fleet::Callbacks callbacks;
  callbacks.ready = [&ready](const MachineId&, StartPath, const guest::Hello&) { ++ready; };
  callbacks.failed = [&failed](const MachineId&, const std::string& why) { failed = why; };
  callbacks.lost = [&failed](const MachineId&, const std::string& why) { failed = why; };
  std::set<pid_t> connected;
  callbacks.process = [&connected](pid_t process) { connected.insert(process); };
  Fleet fleet(host_.loop, hypervisor, starter, *image, fleet_options, callbacks);
  const std::vector<MachineId> machines = {MachineId("audited-1-" + host_.folder.filename().string()),
                                           MachineId("audited-2-" + host_.folder.filename().string())};
  for (const auto& machine : machines) fleet.Start(machine, Profile{}, true);
  ASSERT_TRUE(RunUntil(host_.loop, kPatienceMs, [&] { return ready == 2 || !failed.empty(); }));
  ASSERT_EQ(failed, "");

  apart.reset();  // the executor has a network: its machines, and libvirt's threads, have not
  std::set<std::string> accounts;
  for (const auto& machine : machines) {
    const pid_t pid = ProcessOf(DomainName(machine));
    ASSERT_GT(pid, 0) << "no QEMU of " << machine.str();
    EXPECT_TRUE(connected.contains(pid)) << "the executor knows the process by its connection";
    EXPECT_EQ(NetworkFault(pid), "");
    // Its own: its log and its pid file, which libvirt opened for it.
    const std::string own = (host_.folder / "libvirt").string();
    const auto faults = Audit(pid, {own + "/log", own + "/run/qemu", "/var/log/libvirt/qemu", "/run/libvirt/qemu"});
    EXPECT_THAT(faults, testing::IsEmpty());
    const auto uids = StatusOf(fmt::format("/proc/{}/status", pid))["Uid"];
    accounts.insert(uids.begin(), uids.end());
  }
  EXPECT_EQ(accounts.size(), machines.size()) << "each machine has one uid, and no other machine has it";

  for (const auto& entry : fs::directory_iterator(fleet_options.run_dir)) {
    struct stat status{};
    ASSERT_EQ(stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0700U) << entry.path();
    EXPECT_GE(status.st_uid, kFirstAccount) << entry.path();
  }
  for (const auto& part : {image->kernel, image->initrd, image->root_image}) {
    struct stat status{};
    ASSERT_EQ(stat(part.c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, 0U) << part;
    EXPECT_EQ(status.st_mode & 0022U, 0U) << part << ": other machines start from it";
  }

  bool empty = false;
  fleet.DestroyAll([&empty] { empty = true; });
  EXPECT_TRUE(RunUntil(host_.loop, kPatienceMs, [&empty] { return empty; }));
}

// The audit's own test: a QEMU with none of the guards.
TEST_F(QemuAuditTest, AMachineStartedByHandIsFoundOutOnEveryCount) {
  const std::string disk = (host_.folder / "disk").string();
  std::ofstream(disk) << std::string(1 << 20, '\0');
  const std::string drive = "file=" + disk + ",if=none,id=disk,format=raw";
  const std::vector<std::string> arguments = {"qemu-system-x86_64",
                                              "-S",
                                              "-machine",
                                              "q35,accel=tcg",
                                              "-m",
                                              "32",
                                              "-display",
                                              "none",
                                              "-monitor",
                                              "tcp:127.0.0.1:0,server=on,wait=off",
                                              "-drive",
                                              drive,
                                              "-device",
                                              "virtio-blk-pci,drive=disk",
                                              "-netdev",
                                              "user,id=net",
                                              "-device",
                                              "virtio-net-pci,netdev=net"};
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::vector<char*> raw;
    for (const auto& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
    raw.push_back(nullptr);
    execvp(raw[0], raw.data());
    _exit(127);
  }
  // The last thing that it sets up is its monitor.
  std::vector<std::string> faults;
  EXPECT_NE(NetworkFault(pid), "");
  RunUntil(host_.loop, kPatienceMs, [this, &faults, pid] {
    Timer again(host_.loop, [] {});
    again.StartOnce(10);
    uv_run(host_.loop.raw(), UV_RUN_ONCE);
    faults = Audit(pid, {});
    return std::any_of(faults.begin(), faults.end(), [](const auto& fault) { return fault.starts_with("listener"); });
  });
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  for (const char* expected : {"uid", "gid", "capabilities", "no-new-privileges", "seccomp", "sandbox", "defaults",
                               "network", "door", "namespace", "interface", "listener", "writable"}) {
    EXPECT_THAT(faults, testing::Contains(testing::StartsWith(expected)));
  }
}

}  // namespace
}  // namespace hearth::executor
