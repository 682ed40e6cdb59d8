// What an attempt remembers of how it got its container here: the rung it waited on first, the one that served it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "executor/core/choose.h"
#include "schemas/why.h"

namespace hearth::executor {

struct Why {
  std::int64_t accepted_us = 0;  // monotonic
  Rung first = Rung::kWait;
  std::string_view first_because;  // empty: no rung yet
  Rung last = Rung::kWait;
  std::string_view because;

  void Note(Rung rung, std::string_view reason) {
    if (first_because.empty()) {
      first = rung;
      first_because = reason;
    }
    last = rung;
    because = reason;
  }
  // The dispatcher's words, then ours. `leased_us`: monotonic, 0 where it never had a container.
  [[nodiscard]] std::string Text(std::string_view dispatchers, std::int64_t leased_us) const {
    std::string text(CutWhy(dispatchers, kMaxWhyOfDispatcherBytes));
    if (because.empty()) return text;
    AddWhy(text, "rung", RungName(last));
    AddWhy(text, "because", because);
    if (leased_us != 0) AddWhy(text, "lease_us", leased_us - accepted_us);
    if (first != last || first_because != because) {
      AddWhy(text, "first", RungName(first));
      AddWhy(text, "first_because", first_because);
    }
    return text;
  }
};

}  // namespace hearth::executor
