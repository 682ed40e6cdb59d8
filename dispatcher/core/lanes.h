// In which order what waits is offered. Lanes keeps everything that stands in line in buckets, one for each class and
// kind of place, so that what a free place is offered to is found without a look at what it is not for.
//
// Within a class users take turns by what they have had: each run moves its user back by its cost (start-time fair
// queueing). Who was away saves up nothing, and neither does who could not be placed. Newcomers go first, but for every
// fourth turn: however many of them come, who holds something already is not kept waiting for ever.
//
// It holds at any time:
// - a bucket holds exactly the stands whose lanes need its kind of place, and a stand exactly the lanes that are awake
//   and not empty;
// - users that want a place are counted: those with a stand where a place is possible, and no cap in the way;
// - demand is the sum over users of what waits, for each user no more than could be placed at once.
// Plain data, one thread; the same calls give the same order.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "dispatcher/core/places.h"
#include "dispatcher/core/user.h"

namespace hearth::dispatcher {

struct Bucket {
  std::uint32_t number = 0;
  RequestClass request_class = RequestClass::kStandard;
  Shape shape;
  std::map<StandKey, Stand*> order;
  bool possible = false;
  std::size_t candidate = 0;    // its place among those that are looked at, where it is one
  std::uint64_t closed_in = 0;  // the call in which it is not looked at any more
  std::uint64_t closed_at = 0;  // the chance (places.h) that was looked at last, where its lanes wait for a machine
};

class Lanes {
 public:
  static constexpr std::int64_t kMaxCost = 64;  // so that nobody is moved back for long by one run

  explicit Lanes(const Places& places) : places_(places) {}

  // The lane stands in line from now on; it is not empty.
  void Join(Lane& lane, const Shape& shape);
  void Part(Lane& lane);
  // Its tickets are others, and still some.
  void Recount(Lane& lane);
  // The user's tiers and room.
  void Rank(User& user, std::array<Tier, 2> tiers, std::int32_t room);
  // What it was offered was placed, or has gone.
  void Charge(User& user, RequestClass request_class, std::int64_t cost);

  // The next stand of the class whose place is free; null: none. `room`: whether attempts that take long leave the
  // reserve alone, of newcomers and of others.
  Stand* Next(RequestClass request_class, const std::array<bool, 2>& room, std::uint64_t call);
  // Where it is possible to place something has changed since the last time.
  void ReviewPossible();

  // Whether its kind of place is free, as far as that does not depend on the user.
  [[nodiscard]] bool IsOpen(const Bucket& bucket) const {
    return places_.Fits(bucket.shape.kind, bucket.shape.memory_mib) &&
           (bucket.shape.machine == MachineNeed::kNone || bucket.closed_at != places_.chances());
  }

  [[nodiscard]] std::int64_t wanting() const { return wanting_; }    // users
  [[nodiscard]] std::map<std::string, std::int64_t> Demand() const;  // by profile
  [[nodiscard]] std::size_t buckets() const { return buckets_.size(); }
  // The stand that would come first in the n-th bucket that has one but no free place; null: there are fewer.
  [[nodiscard]] const Stand* FirstWithoutPlace(std::size_t n) const;

 private:
  static constexpr std::size_t kMaxEmptyBuckets = 256;  // kept for what comes next

  Bucket& BucketOf(RequestClass request_class, const Shape& shape);
  void SetOrder(Stand& stand);  // by the user's tier and tag of now
  void SetPossible(Bucket& bucket, bool possible);
  void SetCandidate(Bucket& bucket);  // whether it is looked at
  void Want(User& user, std::int32_t by);
  void Share(User& user);  // the demand, among the user's stands
  [[nodiscard]] std::int64_t TagOf(const Stand& stand) const;
  Stand* FirstIn(const Bucket& bucket, Tier from, const std::array<bool, 2>& room) const;

  const Places& places_;
  std::map<std::pair<RequestClass, Shape>, Bucket> buckets_;
  std::size_t empty_buckets_ = 0;
  std::array<std::vector<Bucket*>, kRequestClasses> candidates_;
  std::array<std::int64_t, kRequestClasses> now_{};  // the tag of what was offered last
  std::array<std::uint64_t, kRequestClasses> turns_{};
  std::map<Places::Kind, std::int64_t> demand_;
  std::uint32_t last_bucket_ = 0;
  std::uint64_t last_order_ = 0;
  std::uint64_t version_ = 0;  // of places, as of the last review
  std::int64_t wanting_ = 0;
};

}  // namespace hearth::dispatcher
