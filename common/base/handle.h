// One deleter for every handle of a C library: `using Reply = std::unique_ptr<redisReply, Deleter<freeReplyObject>>;`.
#pragma once

namespace hearth {

template <auto Destroy>
struct Deleter {
  template <class T>
  void operator()(T* handle) const noexcept {
    Destroy(handle);
  }
};

}  // namespace hearth
