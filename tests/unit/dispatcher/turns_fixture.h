// Turns with one executor, for tests of the order in which what waits is offered.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "dispatcher/core/shares.h"
#include "dispatcher/core/turns.h"

namespace hearth::dispatcher {

inline const UserId kAda("ada");
inline const UserId kBob("bob");
inline const FunctionName kSum("sum");
inline const FunctionName kMul("mul");

using Offered = Turns::Offered;
using Number = std::uint64_t;  // the serial of a ticket

inline Settings AtMost(std::int32_t user_concurrency) {
  Settings settings;
  settings.user_concurrency = user_concurrency;
  return settings;
}

// One executor with more places than anybody asks for, unless a test says otherwise. All functions are known to be
// short.
class TurnsTest : public testing::Test {
 protected:
  explicit TurnsTest(std::int32_t user_concurrency = 3) : context_(AtMost(user_concurrency)) {
    context_.Begin(Time{1'000'000, 0}, effects_);
    SetPlaces(1000);
  }
  void Pass(std::int64_t ms) {
    context_.Begin(Time{context_.After(ms), 0}, effects_);
    turns_.Tick([](Ticket) { return false; });
  }
  void SetPlaces(std::int64_t credit, Places::Standing standing = Places::Standing::kFree) {
    const Places::Part before = part_;
    part_.standing = standing;
    part_.credit = credit;
    part_.lines = {{kind_, 512, standing}};
    places_.Add(part_);
    if (!before.lines.empty()) places_.Remove(before);
  }
  Turns::Need Need(std::int32_t cap = 0) const { return {kind_, 128, cap}; }
  void Know(const UserId& user, const FunctionName& function, std::int64_t took_ms = 100) {
    for (int i = 0; i < 200; ++i) turns_.Learn(user, function, took_ms);
  }
  void Enter(const UserId& user, const FunctionName& function, Number ticket, std::int32_t cap = 0,
             RequestClass request_class = RequestClass::kStandard) {
    turns_.Enter(request_class, user, function, {0, ticket}, Need(cap));
  }
  void Place(const UserId& user, const FunctionName& function) { (void)turns_.Place(user, function); }
  // The first `most` that are offered are placed, and stay placed where `keep` is set.
  std::vector<Number> Take(std::size_t most, bool keep = false) {
    std::vector<Number> taken;
    turns_.Offer([&](Ticket of) {
      const Number ticket = of.serial;
      if (taken.size() == most) return Offered::kNoPlace;
      taken.push_back(ticket);
      if (keep) Place(who_[ticket].first, who_[ticket].second);
      return Offered::kPlaced;
    });
    return taken;
  }
  std::vector<Number> TakeAll() { return Take(1'000'000); }
  // Enters, and remembers whose it is.
  void Wait(const UserId& user, const FunctionName& function, Number ticket, std::int32_t cap = 0,
            RequestClass request_class = RequestClass::kStandard) {
    who_[ticket] = {user, function};
    Enter(user, function, ticket, cap, request_class);
  }
  std::string_view WhyNot(const UserId& user, const FunctionName& function,
                          RequestClass request_class = RequestClass::kStandard) {
    return turns_.WhyNot(request_class, user, function);
  }

  std::vector<Effect> effects_;
  Context context_;
  Places places_;
  Places::Kind kind_ = places_.KindOf("default", Runtime::kPython3);
  Places::Part part_;
  Turns turns_{context_, places_};
  std::map<Number, std::pair<UserId, FunctionName>> who_;
};

}  // namespace hearth::dispatcher
