// A process of this host, by a handle that never comes to mean another one. Any thread.
#pragma once

#include <sys/types.h>

#include "common/base/fd.h"

namespace hearth::executor {

class Process {
 public:
  Process() = default;  // none
  // None where it has ended already, or is this process itself.
  explicit Process(pid_t pid);
  // Ends it at once. Nothing happens where there is none, where it has ended, or where it is not ours to end.
  void Kill() const;

 private:
  Fd handle_;
};

}  // namespace hearth::executor
