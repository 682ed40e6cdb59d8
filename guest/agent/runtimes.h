// How each runtime is run inside a machine. Its names and its number are in schemas/runtime.h.
#pragma once

#include <array>
#include <memory>

#include "guest/agent/channel.h"
#include "schemas/runtime.h"

namespace hearth::guest {

struct GuestRuntime {
  Runtime runtime;
  std::unique_ptr<Channel> (*make_channel)();
  const char* warm_up_handler;  // in the archive that guest/image/build.sh makes
};

inline constexpr std::array kGuestRuntimes = {
    GuestRuntime{Runtime::kPython3, MakeFieldsChannel, "warm_up.handler"},
    GuestRuntime{Runtime::kNative, MakeStdioChannel, "warm_up"},
};
static_assert(kGuestRuntimes.size() == kRuntimes.size() && RowsInOrder(kGuestRuntimes, &GuestRuntime::runtime));

constexpr const GuestRuntime& GuestRuntimeOf(Runtime runtime) {
  return kGuestRuntimes.at(static_cast<std::size_t>(runtime));
}

}  // namespace hearth::guest
