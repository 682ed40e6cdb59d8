// What functions are written for. The table is the only place outside the guest that lists the runtimes; the guest's
// own (guest/agent/runtimes.cc) says how a process of each is started.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "schemas/table.h"

namespace hearth {

// The value is the number on the wire.
enum class Runtime : std::uint8_t { kPython3 = 0, kNative = 1 };

struct RuntimeRow {
  Runtime runtime;
  std::string_view name;
  bool byte_code;                 // hearth deploy compiles the sources, so that no container has to
  bool dotted_handler;            // "module.function"; else the handler is the path of a program in the archive
  std::string_view handler_help;  // for people
};

inline constexpr std::array kRuntimes = {
    RuntimeRow{Runtime::kPython3, "python3", true, true, "module.function"},
    RuntimeRow{Runtime::kNative, "native", false, false, "the executable inside the folder"},
};
static_assert(RowsInOrder(kRuntimes, &RuntimeRow::runtime));

constexpr const RuntimeRow& RowOf(Runtime runtime) {
  return kRuntimes.at(static_cast<std::size_t>(runtime));
}
constexpr std::uint8_t EnumSize(Runtime) {
  return static_cast<std::uint8_t>(kRuntimes.size());
}
constexpr std::string_view RuntimeName(Runtime runtime) {
  return RowOf(runtime).name;
}
Result<Runtime> ParseRuntime(std::string_view name);

}  // namespace hearth
