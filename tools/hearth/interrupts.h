// Ctrl-C while a command works for long: what that means is said, what is half done is taken away, and the process ends
// as one does that such a signal ends (128 and its number).
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "common/base/fd.h"

namespace hearth::tool {

class Interrupts {
 public:
  // Before any other thread is there: SIGINT and SIGTERM are held back in all that begin later.
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // What an interruption means from now on: printed on the standard error, each line of it. Any thread.
  void Mean(std::string text);
  // Called before the process ends so, in another thread; empty: nothing. Any thread.
  void TakeAway(std::function<void()> what);

 private:
  void Run();

  Fd signals_;
  Fd ending_;
  std::mutex mutex_;
  std::string text_;                 // guarded by mutex_
  std::function<void()> take_away_;  // guarded by mutex_
  std::jthread thread_;
};

}  // namespace hearth::tool
