// A bounded mailbox with the threads that empty it: where what blocks is done (libvirt, files), away from the loop.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace hearth::executor {

class Worker {
 public:
  // `name` is that of the threads (at most 15 bytes count).
  Worker(std::string name, std::size_t threads, std::size_t limit);
  ~Worker();  // finishes what has begun, drops what has not
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // False where `limit` jobs wait already. Any thread.
  [[nodiscard]] bool Post(std::function<void()> job);
  [[nodiscard]] std::size_t waiting() const;
  [[nodiscard]] std::size_t limit() const { return limit_; }

 private:
  void Run();

  const std::string name_;
  const std::size_t limit_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;  // guarded by mutex_
  bool stopping_ = false;                   // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace hearth::executor
