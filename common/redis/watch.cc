#include "common/redis/watch.h"

#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include <memory>

namespace hearth::redis {
namespace {

struct Watch {
  uv_poll_t poll{};
  redisAsyncContext* context = nullptr;  // null: hiredis has let go of it
  int wanted = 0;

  static Watch& Of(void* data) { return *static_cast<Watch*>(data); }

  void Want(int events) {
    wanted = events;
    if (wanted == 0) {
      uv_poll_stop(&poll);
    } else {
      uv_poll_start(&poll, wanted, &OnEvent);
    }
  }
  static void OnEvent(uv_poll_t* poll, int status, int events) {
    const Watch& self = Of(poll->data);
    // To read an error from the socket, hiredis has to touch it.
    if ((status != 0 || (events & UV_READABLE) != 0) && self.context != nullptr) redisAsyncHandleRead(self.context);
    if (status == 0 && (events & UV_WRITABLE) != 0 && self.context != nullptr) redisAsyncHandleWrite(self.context);
  }
};

}  // namespace

bool WatchSocket(Loop& loop, redisAsyncContext* context) {
  auto watch = std::make_unique<Watch>();
  if (uv_poll_init(loop.raw(), &watch->poll, context->c.fd) != 0) return false;
  watch->poll.data = watch.get();
  watch->context = context;
  auto& hooks = context->ev;
  hooks.data = watch.release();  // freed by libuv's close callback
  hooks.addRead = [](void* data) { Watch::Of(data).Want(Watch::Of(data).wanted | UV_READABLE); };
  hooks.delRead = [](void* data) { Watch::Of(data).Want(Watch::Of(data).wanted & ~UV_READABLE); };
  hooks.addWrite = [](void* data) { Watch::Of(data).Want(Watch::Of(data).wanted | UV_WRITABLE); };
  hooks.delWrite = [](void* data) { Watch::Of(data).Want(Watch::Of(data).wanted & ~UV_WRITABLE); };
  hooks.cleanup = [](void* data) {
    Watch& self = Watch::Of(data);
    self.context = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&self.poll),
             [](uv_handle_t* handle) { const std::unique_ptr<Watch> owned(&Watch::Of(handle->data)); });
  };
  return true;
}

}  // namespace hearth::redis
