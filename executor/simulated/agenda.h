// What is to be done later on the loop, in the order of its time and, of things at the same time, in that of asking.
// Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <vector>

#include "common/loop/loop.h"

namespace hearth::executor {

class Agenda {
 public:
  explicit Agenda(Loop& loop);
  ~Agenda();
  Agenda(const Agenda&) = delete;
  Agenda& operator=(const Agenda&) = delete;

  // Never from inside the call. The loop's clock has milliseconds, so that it is up to one later; what is due at once
  // is done in the loop's next turn, all of it together.
  void After(std::int64_t delay_us, std::function<void()> work);
  void Clear();

 private:
  struct Entry {
    std::int64_t due_us = 0;
    std::uint64_t number = 0;
    std::function<void()> work;
  };
  struct Later {
    bool operator()(const Entry& a, const Entry& b) const {
      return a.due_us != b.due_us ? a.due_us > b.due_us : a.number > b.number;
    }
  };
  void Run();
  void Arm(std::int64_t now_us);

  Loop& loop_;
  std::priority_queue<Entry, std::vector<Entry>, Later> entries_;
  std::uint64_t next_ = 0;
  std::int64_t armed_us_ = INT64_MAX;  // for when Run is ordered
  Timer timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace hearth::executor
