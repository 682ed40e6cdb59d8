#include "common/loop/loop.h"

#include <utility>

namespace hearth {
namespace {

struct SignalHandle {
  uv_signal_t raw{};
  std::function<void()> work;
};

void CloseAndFree(uv_handle_t* handle) {
  if (uv_is_closing(handle) != 0) return;
  if (handle->type == UV_SIGNAL) {
    uv_close(handle, [](uv_handle_t* h) { delete static_cast<SignalHandle*>(h->data); });
  } else {
    uv_close(handle, nullptr);
  }
}

}  // namespace

Loop::Loop() : mailbox_(std::make_shared<Mailbox>(&wake_)) {
  uv_loop_init(&loop_);
  wake_.data = this;
  uv_async_init(&loop_, &wake_, [](uv_async_t* wake) { static_cast<Loop*>(wake->data)->RunPosted(); });
}

Loop::~Loop() {
  std::vector<std::function<void()>> dropped;  // destroyed last, without the lock: it may own anything
  {
    const std::scoped_lock lock(mailbox_->mutex_);
    mailbox_->wake_ = nullptr;
    dropped.swap(mailbox_->posted_);
  }
  uv_walk(&loop_, [](uv_handle_t* handle, void*) { CloseAndFree(handle); }, nullptr);
  while (uv_run(&loop_, UV_RUN_NOWAIT) != 0) {}
  uv_loop_close(&loop_);
}

void Loop::Run() {
  uv_run(&loop_, UV_RUN_DEFAULT);
}

void Loop::Stop() {
  const std::scoped_lock lock(mailbox_->mutex_);
  mailbox_->stopping_ = true;
  uv_async_send(&wake_);
}

void Loop::Post(std::function<void()> work) {
  mailbox_->Post(std::move(work));
}

void Loop::Mailbox::Post(std::function<void()> work) {
  const std::scoped_lock lock(mutex_);
  if (wake_ == nullptr) return;
  posted_.push_back(std::move(work));
  uv_async_send(wake_);
}

void Loop::RunPosted() {
  std::vector<std::function<void()>> due;
  bool stopping = false;
  {
    const std::scoped_lock lock(mailbox_->mutex_);
    due.swap(mailbox_->posted_);
    stopping = mailbox_->stopping_;
  }
  for (auto& work : due) work();
  if (stopping) uv_stop(&loop_);
}

void Loop::OnSignal(int signal, std::function<void()> work) {
  auto* handle = new SignalHandle{{}, std::move(work)};  // freed when the loop closes it
  handle->raw.data = handle;
  uv_signal_init(&loop_, &handle->raw);
  uv_signal_start(&handle->raw, [](uv_signal_t* raw, int) { static_cast<SignalHandle*>(raw->data)->work(); }, signal);
}

struct Timer::Handle {
  uv_timer_t raw{};
  std::function<void()> work;
};

Timer::Timer(Loop& loop, std::function<void()> work) : handle_(new Handle{{}, std::move(work)}) {
  handle_->raw.data = handle_;
  uv_timer_init(loop.raw(), &handle_->raw);
}

Timer::~Timer() {
  auto* raw = reinterpret_cast<uv_handle_t*>(&handle_->raw);
  uv_timer_stop(&handle_->raw);
  if (uv_is_closing(raw) == 0) uv_close(raw, [](uv_handle_t* h) { delete static_cast<Handle*>(h->data); });
}

void Timer::StartOnce(std::int64_t delay_ms) {
  uv_timer_start(
      &handle_->raw, [](uv_timer_t* raw) { static_cast<Handle*>(raw->data)->work(); },
      static_cast<std::uint64_t>(delay_ms), 0);
}

void Timer::StartEvery(std::int64_t period_ms) {
  uv_timer_start(
      &handle_->raw, [](uv_timer_t* raw) { static_cast<Handle*>(raw->data)->work(); },
      static_cast<std::uint64_t>(period_ms), static_cast<std::uint64_t>(period_ms));
}

void Timer::Cancel() {
  uv_timer_stop(&handle_->raw);
}

// Timers run before a turn waits, all else after it: each has an end of its own.
struct TurnEnd::Handles {
  uv_prepare_t after_timers{};
  uv_check_t after_all{};
  std::function<void()> work;
  int open = 2;

  static void Closed(uv_handle_t* handle) {
    auto* self = static_cast<Handles*>(handle->data);
    if (--self->open == 0) delete self;
  }
};

TurnEnd::TurnEnd(Loop& loop, std::function<void()> work) : handles_(new Handles{{}, {}, std::move(work)}) {
  handles_->after_timers.data = handles_->after_all.data = handles_;
  uv_prepare_init(loop.raw(), &handles_->after_timers);
  uv_check_init(loop.raw(), &handles_->after_all);
  uv_prepare_start(&handles_->after_timers, [](uv_prepare_t* raw) { static_cast<Handles*>(raw->data)->work(); });
  uv_check_start(&handles_->after_all, [](uv_check_t* raw) { static_cast<Handles*>(raw->data)->work(); });
  uv_unref(reinterpret_cast<uv_handle_t*>(&handles_->after_timers));
  uv_unref(reinterpret_cast<uv_handle_t*>(&handles_->after_all));
}

TurnEnd::~TurnEnd() {
  for (auto* raw : {reinterpret_cast<uv_handle_t*>(&handles_->after_timers),
                    reinterpret_cast<uv_handle_t*>(&handles_->after_all)}) {
    if (uv_is_closing(raw) == 0) uv_close(raw, Handles::Closed);
  }
}

struct ReadableWatch::Handle {
  uv_poll_t raw{};
  std::function<void()> work;
};

ReadableWatch::ReadableWatch(Loop& loop, int descriptor, std::function<void()> work)
    : handle_(new Handle{{}, std::move(work)}) {
  handle_->raw.data = handle_;
  uv_poll_init(loop.raw(), &handle_->raw, descriptor);
  uv_poll_start(&handle_->raw, UV_READABLE, [](uv_poll_t* raw, int, int) { static_cast<Handle*>(raw->data)->work(); });
}

ReadableWatch::~ReadableWatch() {
  auto* raw = reinterpret_cast<uv_handle_t*>(&handle_->raw);
  uv_poll_stop(&handle_->raw);
  if (uv_is_closing(raw) == 0) uv_close(raw, [](uv_handle_t* h) { delete static_cast<Handle*>(h->data); });
}

}  // namespace hearth
