// What waits of a user, and how the user stands. Everybody may read it. Turns counts, and Lanes keeps the order.
//
// A *lane* is what waits of one user and one function within a class. What waits of one user and needs the same kind of
// place stands together in a *stand*, and all stands of one kind and class in a *bucket*.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "dispatcher/core/places.h"
#include "dispatcher/core/reasons.h"
#include "dispatcher/core/request_class.h"

namespace hearth::dispatcher {

// The place of a record in the queue: of one user the least one goes first. One that comes back keeps its place.
struct Ticket {
  std::int64_t tag = 0;      // what its flow (turns.h) had had when it came
  std::uint64_t serial = 0;  // rises with arrival
  friend auto operator<=>(const Ticket&, const Ticket&) = default;
};

class User;
struct Bucket;
struct FunctionUse;
struct Lane;

// The machine that a lane waits for, where nothing of its user's own is free.
enum class MachineNeed : std::uint8_t { kNone, kFirst, kFurther };

// What a lane needs of a place.
struct Shape {
  Places::Kind kind = Places::kAnywhere;
  std::int32_t memory_mib = 0;
  bool is_long = false;  // its attempts take long (shares.h)
  MachineNeed machine = MachineNeed::kNone;
  friend auto operator<=>(const Shape&, const Shape&) = default;
};

// Who goes before whom. The last two are not offered at all.
enum class Tier : std::uint8_t { kNewcomer, kHolder, kOverShare, kAtCap };

// Within a bucket the least one is offered first: by tier, then by what the user has had so far, then by arrival.
struct StandKey {
  Tier tier = Tier::kNewcomer;
  std::int64_t tag = 0;
  std::uint64_t order = 0;
  friend auto operator<=>(const StandKey&, const StandKey&) = default;
};

struct Stand {
  Bucket* bucket = nullptr;
  User* user = nullptr;
  StandKey key;
  std::set<std::pair<Ticket, Lane*>> lanes;  // by their first tickets
  std::int64_t queued = 0;                   // tickets of its lanes
  std::int64_t demand = 0;                   // of them, those that the user could have placed at once
};

struct Lane {
  static constexpr std::size_t kAwake = SIZE_MAX;

  User* user = nullptr;
  FunctionUse* function = nullptr;
  RequestClass request_class = RequestClass::kStandard;
  std::set<Ticket> tickets;
  Stand* stand = nullptr;   // null: it is empty, or sleeps
  Ticket head;              // under which it stands
  std::int64_t queued = 0;  // with which it is counted there
  MachineNeed machine = MachineNeed::kNone;
  Reason pause = Reason::kClaim;    // why it is not offered for a moment
  std::int64_t pause_until_us = 0;  // 0: it is
  std::uint64_t pause_number = 0;   // among all pauses
  std::size_t sleeper = kAwake;     // its place among those that sleep
};

// A function of the user as it is used.
struct FunctionUse {
  std::int32_t placed = 0;
  std::int32_t cap = 0;  // 0: none but the user's
  Places::Kind kind = Places::kAnywhere;
  std::int32_t memory_mib = 0;
  std::int64_t expected_ms = 100;   // moving average of what runs took by executors' clocks
  bool is_known = false;            // a run of it has ended
  std::int64_t quiet_since_us = 0;  // since then none of those placed has ended
  std::array<std::unique_ptr<Lane>, kRequestClasses> lanes;
};

class User {
 public:
  explicit User(UserId id) : id_(std::move(id)) {}
  User(const User&) = delete;
  User& operator=(const User&) = delete;

  [[nodiscard]] const UserId& id() const { return id_; }
  [[nodiscard]] std::int64_t waiting() const { return waiting_; }  // received, not placed, not in its last records
  [[nodiscard]] std::int32_t placed() const { return placed_; }
  [[nodiscard]] std::int32_t placed(const FunctionName& function) const {
    const auto use = functions_.find(function);
    return use == functions_.end() ? 0 : use->second.placed;
  }

 private:
  friend class Lanes;
  friend class Turns;

  UserId id_;
  std::int64_t waiting_ = 0;
  std::int32_t placed_ = 0;
  std::unordered_map<FunctionName, FunctionUse> functions_;  // looked up, never walked
  std::list<User*>::iterator place_;                         // among the idle ones, or the others
  bool is_idle_ = true;
  std::uint64_t number_ = 0;        // in the order in which users were seen
  std::int32_t over_share_ = 0;     // with so many placed it was found to hold its share; 0: it was not
  std::vector<Lane*> paused_;       // lanes
  std::vector<Lane*> machineless_;  // lanes that wait for a machine
  std::int64_t served_tag_ = 0;     // the highest that has left the queue to be placed
  std::int64_t single_tag_ = 0;     // of the flow of requests that are of no batch

  // Of Lanes.
  std::map<std::uint32_t, Stand> stands_;                        // by the number of their bucket
  std::array<std::int64_t, kRequestClasses> tags_{};             // what it has had, by class, as the order counts
  std::array<Tier, 2> tiers_{Tier::kNewcomer, Tier::kNewcomer};  // of what is short, and of what takes long
  std::int32_t room_ = 0;                                        // how many more it could have placed at once
  std::int32_t possible_ = 0;                                    // stands in buckets where a place is possible
  bool wants_ = false;
};

}  // namespace hearth::dispatcher
