// One machine started by hand, without libvirt: QEMU (TCG) with the built image, and the executor's end of the guest
// link. For tests of the guest and as the floor of measurements. Blocks.
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

namespace hearth::guest {

using Millis = std::chrono::milliseconds;

constexpr Millis kBootTimeout{60'000};
constexpr Millis kReplyTimeout{30'000};

struct ArchiveEntry {
  std::string path;
  std::string content;
  char type = '0';  // '0' file, '2' link to `content`, '5' folder
  unsigned mode = 0755;
};
std::string MakeUstar(const std::vector<ArchiveEntry>& entries);
CodeHash HashOf(const std::string& archive);

class Machine {
 public:
  // Starts it and waits for QEMU's connection. `image` is a folder of guest/image/build.sh. With `counts_instructions`
  // the guest's clock is the number of instructions executed, in ns: the same work takes the same time on any host.
  static Result<std::unique_ptr<Machine>> Start(const std::string& image, bool counts_instructions = false);
  ~Machine();  // ends QEMU, deletes the socket
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
  // Closes the link and waits until QEMU has connected again; what was on its way is lost.
  Result<void> CutLink();
  // Whether QEMU ends within the time.
  bool WaitForEnd(Millis timeout);

  // Offers the archive in chunks; the agent's answer.
  Result<CodeStored> Store(const CodeHash& hash, const std::string& archive);

 private:
  Machine() = default;
  Result<void> Accept();
  Result<void> ReadSome(std::chrono::steady_clock::time_point deadline);

  std::string folder_;
  pid_t qemu_ = -1;
  int listener_ = -1;
  int fd_ = -1;
  FrameReader reader_;
  std::map<std::uint32_t, std::deque<Message>> inbox_;
};

}  // namespace hearth::guest
