// The times of an invocation as JSON for people and their programs.
#pragma once

#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "schemas/result.h"

namespace hearth {

// Microseconds since the epoch; a time that is not known is absent.
inline nlohmann::json TimesJson(const Times& times) {
  nlohmann::json json = nlohmann::json::object();
  const std::array<std::pair<const char*, std::int64_t>, 6> all{{{"enqueued", times.enqueued_us},
                                                                 {"received", times.received_us},
                                                                 {"placed", times.placed_us},
                                                                 {"leased", times.leased_us},
                                                                 {"started", times.started_us},
                                                                 {"ended", times.ended_us}}};
  for (const auto& [name, value] : all) {
    if (value != 0) json[name] = value;
  }
  return json;
}

}  // namespace hearth
