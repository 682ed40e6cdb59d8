// What an attempt remembers of how it got its container here: the rung it waited on first, the one that served it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "executor/core/choose.h"
#include "schemas/why.h"

namespace hearth::executor {

class Why {
 public:
  void Accepted(std::int64_t now_us) { accepted_us_ = now_us; }  // on the monotonic clock, as all times here
  void Note(Rung rung, std::string_view reason) {
    if (first_because_.empty()) {
      first_ = rung;
      first_because_ = reason;
    }
    last_ = rung;
    because_ = reason;
  }
  [[nodiscard]] std::int64_t accepted_us() const { return accepted_us_; }
  // The dispatcher's words, then ours. `leased_us`: 0 where it never had a container.
  [[nodiscard]] std::string Text(std::string_view dispatchers, std::int64_t leased_us) const {
    std::string text(CutWhy(dispatchers, kMaxWhyOfDispatcherBytes));
    if (because_.empty()) return text;
    AddWhy(text, "rung", RungName(last_));
    AddWhy(text, "because", because_);
    if (leased_us != 0) AddWhy(text, "lease_us", leased_us - accepted_us_);
    if (first_ != last_ || first_because_ != because_) {
      AddWhy(text, "first", RungName(first_));
      AddWhy(text, "first_because", first_because_);
    }
    return text;
  }

 private:
  std::int64_t accepted_us_ = 0;
  Rung first_ = Rung::kWait;
  std::string_view first_because_;  // empty: no rung yet
  Rung last_ = Rung::kWait;
  std::string_view because_;
};

}  // namespace hearth::executor
