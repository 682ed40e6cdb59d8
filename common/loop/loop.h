// The event loop of a daemon: a thin owner of libuv's. One thread runs it; all that is given to it is called there.
// Only Post and Stop may be called from other threads.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace hearth {

class Loop {
 public:
  // The way to the loop for threads that may outlive it: what is posted to a loop that is gone is dropped. Any thread.
  class Mailbox;

  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs until Stop. Call once.
  void Run();
  void Stop();
  // Runs `work` on the loop's thread, in order. Any thread.
  void Post(std::function<void()> work);
  [[nodiscard]] const std::shared_ptr<Mailbox>& mailbox() const { return mailbox_; }
  // Calls `work` when the process receives the signal.
  void OnSignal(int signal, std::function<void()> work);

  [[nodiscard]] uv_loop_t* raw() { return &loop_; }

 private:
  void RunPosted();

  uv_loop_t loop_{};
  uv_async_t wake_{};
  std::shared_ptr<Mailbox> mailbox_;
};

class Loop::Mailbox {
 public:
  explicit Mailbox(uv_async_t* wake) : wake_(wake) {}
  void Post(std::function<void()> work);

 private:
  friend class Loop;
  std::mutex mutex_;
  uv_async_t* wake_;                           // guarded by mutex_; null: the loop is gone
  std::vector<std::function<void()>> posted_;  // guarded by mutex_
  bool stopping_ = false;                      // guarded by mutex_
};

// A timer that can be restarted; destroying it cancels it. Loop thread only.
class Timer {
 public:
  Timer(Loop& loop, std::function<void()> work);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void StartOnce(std::int64_t delay_ms);
  void StartEvery(std::int64_t period_ms);
  void Cancel();

 private:
  struct Handle;
  Handle* handle_;  // freed by libuv's close callback
};

// Calls `work` when all that was there to be done in a turn of the loop is done, before the loop waits: for what many
// callbacks have gathered and one call can finish. Loop thread only.
class TurnEnd {
 public:
  TurnEnd(Loop& loop, std::function<void()> work);
  ~TurnEnd();
  TurnEnd(const TurnEnd&) = delete;
  TurnEnd& operator=(const TurnEnd&) = delete;

 private:
  struct Handles;
  Handles* handles_;  // freed by libuv's close callbacks
};

// Calls `work` whenever the descriptor is readable. Does not own the descriptor. Loop thread only.
class ReadableWatch {
 public:
  ReadableWatch(Loop& loop, int descriptor, std::function<void()> work);
  ~ReadableWatch();
  ReadableWatch(const ReadableWatch&) = delete;
  ReadableWatch& operator=(const ReadableWatch&) = delete;

 private:
  struct Handle;
  Handle* handle_;  // freed by libuv's close callback
};

}  // namespace hearth
