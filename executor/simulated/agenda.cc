#include "executor/simulated/agenda.h"

#include <utility>

#include "common/base/time.h"

namespace hearth::executor {

Agenda::Agenda(Loop& loop) : loop_(loop), timer_(loop, [this] { Run(); }) {}

Agenda::~Agenda() {
  *alive_ = false;
}

void Agenda::After(std::int64_t delay_us, std::function<void()> work) {
  const std::int64_t now_us = ReadClocks().mono_us;
  entries_.push({now_us + delay_us, next_++, std::move(work)});
  Arm(now_us);
}

void Agenda::Clear() {
  entries_ = {};
}

void Agenda::Arm(std::int64_t now_us) {
  if (entries_.empty() || entries_.top().due_us >= armed_us_) return;
  armed_us_ = entries_.top().due_us;
  if (armed_us_ > now_us) {
    return timer_.StartOnce((armed_us_ - now_us + kMicrosPerMilli - 1) / kMicrosPerMilli);
  }
  // Not by the timer: libuv would call one of no delay again and again before it looks at any socket.
  loop_.Post([this, alive = alive_] {
    if (*alive) Run();
  });
}

void Agenda::Run() {
  const std::int64_t now_us = ReadClocks().mono_us;
  const std::uint64_t end = next_;  // what is asked for meanwhile has to wait for the loop's next turn
  armed_us_ = INT64_MIN;            // and orders nothing
  while (!entries_.empty() && entries_.top().due_us <= now_us && entries_.top().number < end) {
    const auto work = std::move(const_cast<Entry&>(entries_.top()).work);
    entries_.pop();
    work();
  }
  armed_us_ = INT64_MAX;
  Arm(now_us);
}

}  // namespace hearth::executor
