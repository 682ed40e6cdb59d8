#include "tools/machine/machine.h"

#include <fcntl.h>
#include <openssl/sha.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace hearth::guest {
namespace {

using Clock = std::chrono::steady_clock;

int RemainingMs(Clock::time_point deadline) {
  return static_cast<int>(
      std::max<std::int64_t>(0, std::chrono::duration_cast<Millis>(deadline - Clock::now()).count()));
}

std::unexpected<Error> Errno(const std::string& what) {
  return Fail(Code::kInternal, what + ": " + std::strerror(errno));
}

}  // namespace

std::string MakeUstar(const std::vector<ArchiveEntry>& entries) {
  std::string out;
  for (const auto& entry : entries) {
    std::array<char, 512> head{};
    const std::size_t size = entry.type == '0' ? entry.content.size() : 0;
    std::snprintf(head.data(), 100, "%s", entry.path.c_str());
    std::snprintf(head.data() + 100, 8, "%07o", entry.mode);
    std::snprintf(head.data() + 124, 12, "%011zo", size);
    std::memcpy(head.data() + 148, "        ", 8);
    head[156] = entry.type;
    if (entry.type == '2') std::snprintf(head.data() + 157, 100, "%s", entry.content.c_str());
    std::memcpy(head.data() + 257, "ustar\00000", 8);
    unsigned sum = 0;
    for (const char c : head) sum += static_cast<unsigned char>(c);
    std::snprintf(head.data() + 148, 8, "%06o", sum);
    out.append(head.data(), head.size());
    if (entry.type == '0') {
      out += entry.content;
      out.append((512 - size % 512) % 512, '\0');
    }
  }
  out.append(1024, '\0');
  return out;
}

CodeHash HashOf(const std::string& archive) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(archive.data()), archive.size(), digest.data());
  std::string text;
  for (const unsigned char byte : digest) {
    std::array<char, 3> hex{};
    std::snprintf(hex.data(), hex.size(), "%02x", byte);
    text += hex.data();
  }
  return CodeHash(text);
}

Result<std::vector<std::string>> MachineArguments(const MachineOptions& options, const std::string& folder) {
  std::ifstream file(options.image + "/manifest.json");
  const auto manifest = nlohmann::json::parse(file, nullptr, false);
  if (!manifest.is_object()) return Fail(Code::kNotFound, "no image at " + options.image + ": run tools/dev image");
  std::string machine = "q35,accel=tcg";
  if (!options.ram_file.empty()) machine += ",memory-backend=ram";
  std::vector<std::string> arguments = {"qemu-system-x86_64", "-machine", machine, "-cpu", "qemu64,+rdrand"};
  const auto add = [&arguments](std::initializer_list<std::string> more) {
    arguments.insert(arguments.end(), more.begin(), more.end());
  };
  const std::string memory = std::to_string(options.memory_mib);
  add({"-m", memory, "-smp", "1", "-bios", "/usr/share/qemu/qboot.rom"});
  if (!options.ram_file.empty()) {
    add({"-object", "memory-backend-file,id=ram,size=" + memory + "M,mem-path=" + options.ram_file +
                        ",share=" + (options.share_ram ? "on" : "off")});
  }
  if (options.incoming) {
    add({"-incoming", "defer"});
  } else {
    std::string cmdline = manifest["cmdline_tcg"].get<std::string>();
    if (!options.console.empty()) {
      for (const char* word : {"quiet ", "8250.nr_uarts=0 "}) {
        if (const auto at = cmdline.find(word); at != std::string::npos) cmdline.erase(at, std::strlen(word));
      }
      cmdline += " loglevel=7 earlyprintk=ttyS0 console=ttyS0";
    }
    add({"-kernel", options.image + "/vmlinux", "-initrd", options.image + "/initramfs.cpio", "-append", cmdline});
  }
  add({"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"});
  if (options.monitor) add({"-qmp", "unix:" + folder + "/monitor.sock,server=on,wait=off"});
  if (!options.console.empty()) {
    add({"-chardev", "file,id=console,path=" + options.console, "-device", "isa-serial,chardev=console"});
  }
  add({"-device", "virtio-serial-pci", "-chardev", "socket,id=link,reconnect=1,path=" + folder + "/agent.sock",
       "-device", "virtserialport,chardev=link,name=agent.0"});
  add({"-drive", "file=" + options.image + "/root.squashfs,if=none,id=root,format=raw,readonly=on"});
  add({"-device", "virtio-blk-pci,drive=root"});
  if (!options.icount.empty()) add({"-icount", options.icount});
  return arguments;
}

Result<std::unique_ptr<Machine>> Machine::Start(const std::string& image) {
  MachineOptions options;
  options.image = image;
  return Start(options);
}

Result<std::unique_ptr<Machine>> Machine::Start(const MachineOptions& options) {
  auto machine = Listen();
  if (!machine) return machine;
  auto arguments = MachineArguments(options, (*machine)->folder_);
  if (!arguments) return std::unexpected(arguments.error());
  if (auto launched = (*machine)->Launch(*arguments); !launched) return std::unexpected(launched.error());
  if (auto connected = (*machine)->AwaitQemu(); !connected) return std::unexpected(connected.error());
  return machine;
}

Result<std::unique_ptr<Machine>> Machine::Listen() {
  std::unique_ptr<Machine> machine(new Machine());
  std::string folder = (std::filesystem::temp_directory_path() / "hearth-guest-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return Errno("mkdtemp");
  machine->folder_ = folder;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", machine->socket().c_str());
  machine->listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (machine->listener_ < 0) return Errno("socket");
  if (bind(machine->listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(machine->listener_, 1) != 0)
    return Errno("listen");
  return machine;
}

Result<void> Machine::Launch(const std::vector<std::string>& arguments) {
  std::vector<char*> raw;
  for (const auto& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
  raw.push_back(nullptr);
  qemu_ = fork();
  if (qemu_ < 0) return Errno("fork");
  if (qemu_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that crashes leaves no machine behind
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);  // what the caller holds back is no business of QEMU's
    execvp(raw[0], raw.data());
    _exit(127);
  }
  return {};
}

Result<void> Machine::AwaitQemu(Millis timeout) {
  pollfd wait{listener_, POLLIN, 0};
  if (poll(&wait, 1, static_cast<int>(timeout.count())) == 1)
    fd_ = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd_ < 0) return Fail(Code::kUnavailable, "QEMU did not connect");
  return {};
}

Result<Qmp*> Machine::monitor() {
  if (monitor_ == nullptr) {
    auto connected = Qmp::Connect(monitor_socket());
    if (!connected) return std::unexpected(connected.error());
    monitor_ = std::make_unique<Qmp>(std::move(*connected));
  }
  return monitor_.get();
}

Result<void> Machine::CutLink() {
  close(fd_);
  fd_ = -1;
  reader_ = FrameReader();
  inbox_.clear();
  return AwaitQemu();
}

Machine::~Machine() {
  if (fd_ >= 0) close(fd_);
  if (listener_ >= 0) close(listener_);
  if (qemu_ > 0) {
    kill(qemu_, SIGKILL);
    waitpid(qemu_, nullptr, 0);
  }
  if (!folder_.empty()) std::filesystem::remove_all(folder_);
}

bool Machine::WaitForEnd(Millis timeout) {
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, qemu_, 0));
  pollfd wait{pidfd, POLLIN, 0};
  const bool ended = poll(&wait, 1, static_cast<int>(timeout.count())) == 1;
  close(pidfd);
  return ended;
}

void Machine::Send(std::uint32_t stream, Message message) {
  std::string bytes;
  if (!AppendGuestFrame(bytes, {stream, std::move(message)})) return;  // the test sees the silence that follows
  SendRaw(bytes);
}

void Machine::SendRaw(std::string_view bytes) {
  const auto deadline = Clock::now() + kReplyTimeout;
  while (!bytes.empty() && Clock::now() < deadline) {
    const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
      continue;
    }
    if (n == 0 || errno != EAGAIN) return;  // the test sees the silence that follows
    pollfd wait{fd_, POLLOUT, 0};
    poll(&wait, 1, RemainingMs(deadline));
  }
}

Result<void> Machine::ReadSome(Clock::time_point deadline) {
  pollfd wait{fd_, POLLIN, 0};
  if (poll(&wait, 1, RemainingMs(deadline)) != 1) return Fail(Code::kDeadline, "no message in time");
  std::array<char, 65536> block{};
  const ssize_t n = recv(fd_, block.data(), block.size(), 0);
  if (n == 0 || (n < 0 && errno != EAGAIN)) return Fail(Code::kUnavailable, "the machine closed the link");
  if (n < 0) return {};
  if (auto fed = reader_.Feed({block.data(), static_cast<std::size_t>(n)}); !fed) return fed;
  while (auto raw = reader_.Next()) {
    auto frame = DecodeGuestFrame(std::move(*raw));
    if (!frame) return std::unexpected(frame.error());
    inbox_[frame->stream].push_back(std::move(frame->message));
  }
  return {};
}

Result<Message> Machine::Next(std::uint32_t stream, Millis timeout) {
  const auto deadline = Clock::now() + timeout;
  while (inbox_[stream].empty()) {
    if (auto read = ReadSome(deadline); !read) return std::unexpected(read.error());
  }
  Message message = std::move(inbox_[stream].front());
  inbox_[stream].pop_front();
  return message;
}

Result<CodeStored> Machine::Store(const CodeHash& hash, const std::string& archive) {
  Send(0, CodeOffer{hash, static_cast<std::int64_t>(archive.size())});
  for (std::size_t at = 0; at < archive.size(); at += kMaxCodeChunkBytes)
    Send(0, CodeChunk{archive.substr(at, kMaxCodeChunkBytes)});
  return Expect<CodeStored>(0);
}

}  // namespace hearth::guest
