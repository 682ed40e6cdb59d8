// One machine started by hand, without libvirt: QEMU (TCG) with the built image, and the executor's end of the guest
// link. For tests of the guest and as the floor of measurements. Blocks; one thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "schemas/frame.h"
#include "schemas/guest.h"
#include "tools/machine/qmp.h"

namespace hearth::guest {

using Millis = std::chrono::milliseconds;

constexpr Millis kBootTimeout{180'000};  // a start takes two seconds; a host may be loaded
constexpr Millis kReplyTimeout{30'000};

struct ArchiveEntry {
  std::string path;
  std::string content;
  char type = '0';  // '0' file, '2' link to `content`, '5' folder
  unsigned mode = 0755;
};
std::string MakeUstar(const std::vector<ArchiveEntry>& entries);
CodeHash HashOf(const std::string& archive);

struct MachineOptions {
  std::string image;  // a folder of guest/image/build.sh
  std::int32_t memory_mib = 512;
  std::string ram_file;    // the guest's memory as a mapped file; empty: QEMU's own
  bool share_ram = false;  // what the guest writes reaches the file (a template), else it stays private (a clone)
  bool incoming = false;   // boots nothing: waits to be filled from a saved state
  bool monitor = false;    // QMP, see monitor()
  std::string icount;      // QEMU's -icount: the guest's instructions are counted, see Qmp::Instructions
  std::string console;     // a file that gets the kernel's log; empty: no serial port, as in every other machine
};

class Machine {
 public:
  // Starts it and waits for QEMU's connection.
  static Result<std::unique_ptr<Machine>> Start(const std::string& image);
  static Result<std::unique_ptr<Machine>> Start(const MachineOptions& options);
  // The listening end alone, at socket(): QEMU comes by Launch, or is somebody else's child. AwaitQemu is the next
  // step.
  static Result<std::unique_ptr<Machine>> Listen();
  ~Machine();  // ends QEMU where it is a child of this, deletes the folder
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  void Send(std::uint32_t stream, Message message);
  void SendRaw(std::string_view bytes);
  // The next message on the stream, whatever its type.
  Result<Message> Next(std::uint32_t stream, Millis timeout = kReplyTimeout);
  // The next message on the stream, which must be a T.
  template <class T>
  Result<T> Expect(std::uint32_t stream, Millis timeout = kReplyTimeout) {
    auto message = Next(stream, timeout);
    if (!message) return std::unexpected(message.error());
    if (auto* wanted = std::get_if<T>(&*message)) return std::move(*wanted);
    return Fail(Code::kInvalid, "another message came: variant " + std::to_string(message->index()));
  }
  // Starts the command line, program first, which has to connect to socket().
  Result<void> Launch(const std::vector<std::string>& arguments);
  Result<void> AwaitQemu(Millis timeout = kReplyTimeout);
  [[nodiscard]] std::string folder() const { return folder_; }
  [[nodiscard]] std::string socket() const { return folder_ + "/agent.sock"; }
  [[nodiscard]] std::string monitor_socket() const { return folder_ + "/monitor.sock"; }
  [[nodiscard]] pid_t pid() const { return qemu_; }
  // Connected at the first call; for machines with a monitor.
  Result<Qmp*> monitor();
  // Closes the link and waits until QEMU has connected again; what was on its way is lost.
  Result<void> CutLink();
  // Whether QEMU ends within the time.
  bool WaitForEnd(Millis timeout);

  // Offers the archive in chunks; the agent's answer.
  Result<CodeStored> Store(const CodeHash& hash, const std::string& archive);

 private:
  Machine() = default;
  Result<void> ReadSome(std::chrono::steady_clock::time_point deadline);

  std::string folder_;
  pid_t qemu_ = -1;
  int listener_ = -1;
  int fd_ = -1;
  FrameReader reader_;
  std::map<std::uint32_t, std::deque<Message>> inbox_;
  std::unique_ptr<Qmp> monitor_;
};

// QEMU's command line for the options, with its sockets in the folder. kNotFound: no image there.
Result<std::vector<std::string>> MachineArguments(const MachineOptions& options, const std::string& folder);

}  // namespace hearth::guest
