// Has a loop watch the socket of an asynchronous hiredis connection. hiredis's own adapter drops what libuv reports as
// an error, so that a connection that is refused seems to take for ever.
#pragma once

#include "common/loop/loop.h"

struct redisAsyncContext;

namespace hearth::redis {

// False: the loop does not take the socket. What is made here ends with the context. Loop thread only.
bool WatchSocket(Loop& loop, redisAsyncContext* context);

}  // namespace hearth::redis
