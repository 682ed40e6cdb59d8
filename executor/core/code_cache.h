// Code on its way into machines: the archives that are kept here, which machine has which, and who waits for one.
// CodeCache is the only one who loads and sends code.
//
// It holds at any time:
// - a machine is sent an archive once, unless its agent says that it could not store it;
// - an archive that somebody waits for is being loaded, or is on its way to the machine in which it is waited for;
// - the archives that are kept take at most kMaxCodeCacheBytes: those that were used last stay.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "executor/core/context.h"
#include "executor/core/machines.h"

namespace hearth::executor {

constexpr std::size_t kMaxCodeCacheBytes = 256U << 20;  // archives kept to be sent to further machines

class CodeCache {
 public:
  explicit CodeCache(Context& context, const Machines& machines, std::size_t most_bytes = kMaxCodeCacheBytes)
      : context_(context), machines_(machines), most_bytes_(most_bytes) {}

  // All of the code was sent to the machine, in order before whatever is sent to it from now on.
  [[nodiscard]] bool Holds(const Machine& machine, const CodeHash& hash) const;
  // The code was sent to the machine, or is on its way there.
  [[nodiscard]] bool Knows(const Machine& machine, const CodeHash& hash) const;

  // True where the machine holds the code. Else the code is sent to it, loaded first where it is not here, and the
  // attempt waits for it. The code is that of the machine's user.
  [[nodiscard]] bool Provide(const Machine& machine, const CodeHash& hash, const AttemptKey& attempt);
  // The attempt waits no more, if it did.
  void StopWaiting(const UserCode& code, const AttemptKey& attempt);

  // The archive is all on its way to the machine. Returns the attempts that waited for it there, and wait no more.
  [[nodiscard]] std::vector<AttemptKey> Sent(const Machine& machine, const CodeHash& hash);
  // The machine could not store the code. Returns the same as Sent: Created tells each of them what became of it.
  [[nodiscard]] std::vector<AttemptKey> Lost(const Machine& machine, const CodeHash& hash);
  // The archive was loaded, and is sent to every machine in which somebody waits for it.
  void Loaded(const UserCode& code, std::shared_ptr<const std::string> bytes);
  // The archive cannot be loaded. Returns all attempts that waited for it, and wait no more.
  [[nodiscard]] std::vector<AttemptKey> LoadFailed(const UserCode& code);
  // The machine is no more.
  void Forget(const Machine& machine) { of_machines_.erase(machine.number()); }

  [[nodiscard]] std::size_t waiting() const;     // attempts
  [[nodiscard]] std::size_t kept_bytes() const;  // of archives

 private:
  struct OfMachine {
    std::set<CodeHash> held;
    std::set<CodeHash> coming;
  };
  struct Archive {
    std::shared_ptr<const std::string> bytes;  // null: being loaded
    std::uint64_t used = 0;                    // the last use, in the order of uses
  };

  void Send(const Machine& machine, const CodeHash& hash);
  [[nodiscard]] std::vector<AttemptKey> TakeWaiting(const Machine& machine, const CodeHash& hash);
  void Shrink();

  Context& context_;
  const Machines& machines_;
  const std::size_t most_bytes_;
  std::map<UserCode, Archive> archives_;
  std::map<std::uint64_t, OfMachine> of_machines_;                   // by number
  std::map<UserCode, std::map<AttemptKey, std::uint64_t>> waiting_;  // and in which machine
  std::uint64_t next_use_ = 1;
};

}  // namespace hearth::executor
