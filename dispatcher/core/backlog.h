// Which records of one partition are held in memory, and which are parked: read, not complete, and left where they lie
// in the log until there is room for them. A lane of the backlog is what came of one user for one function; what has an
// order key is in one lane of its user, whatever its function, so that a key keeps its order.
//
// It holds at any time:
// - what is parked costs nothing for each record: a lane knows between which offsets its parked records lie, and by
//   minutes in which of them some expire;
// - a lane that has something parked takes nothing else in but what is read back, in the order of offsets;
// - a lane is forgotten when it has nothing held and nothing parked.
// Plain data, one thread. Only Invocations changes it (invocations.h).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/ids.h"

namespace hearth::dispatcher {

// What a lane may hold in memory, and a partition. Beyond the partition's bound each lane has its share of it, and one
// record at least.
struct Room {
  std::int64_t lane_records = 256;
  std::int64_t lane_bytes = 8LL << 20;
  std::int64_t bytes = 64LL << 20;
};

class Backlog {
 public:
  class Lane {
   public:
    [[nodiscard]] const UserId& user() const { return user_; }
    [[nodiscard]] std::int64_t held() const { return held_; }  // records
    [[nodiscard]] bool has_parked() const { return first_ <= last_; }
    [[nodiscard]] bool is_due() const { return is_due_; }  // some of it has expired, and was not looked for yet

   private:
    friend class Backlog;
    struct Expiring {
      std::int64_t first = 0;
      std::int64_t last = 0;
    };
    std::uint64_t number_ = 0;  // in the order in which lanes were seen
    UserId user_;
    FunctionName function_;  // empty: what has an order key
    std::int64_t held_ = 0;
    std::int64_t bytes_ = 0;
    std::int64_t first_ = 0;  // its parked records lie between these two; none: the second one is lower
    std::int64_t last_ = -1;
    std::map<std::int64_t, Expiring> expiring_;  // by minute: where what expires in it lies
    bool is_due_ = false;
    bool due_next_ = false;    // the next read is for what has expired
    bool is_wanted_ = false;   // it is in the line of who reads back
    bool is_full_ = false;     // for the chunk that is read back now
    std::uint64_t chunk_ = 0;  // that told of it last
  };

  explicit Backlog(Room room = {}) : room_(room) {}

  Lane& LaneOf(const UserId& user, const FunctionName& function, bool has_order_key);
  // Whether a record that was read for the first time is held, and not parked.
  // `is_unread`: it is found where a former owner had read already.
  [[nodiscard]] bool HasRoom(const Lane& lane, std::int64_t bytes, bool is_unread) const;
  void Hold(Lane& lane, std::int64_t bytes);
  void Release(Lane& lane, std::int64_t bytes);
  // `deadline_ms`: when it expires, wall clock; 0: never.
  void Park(Lane& lane, std::int64_t offset, std::int64_t deadline_ms);

  // ---- Reading back, chunk by chunk. Where the lane is to be read from, and it is not wanted any more; nothing: it
  // has no room, or nothing parked.
  std::optional<std::int64_t> TakeWant(Lane& lane);
  // True: it is to be read, and was not wanted yet. It is from now on. A lane with nothing in it is gone after it.
  [[nodiscard]] bool Want(Lane& lane);
  // A chunk is looked through, record by record in the order of offsets: all from `from` to below `to`.
  void BeginChunk(std::int64_t from);
  // Whether the parked record is taken out of it. What stays behind ends the lane's part in the chunk.
  // `has_expired`: it is taken although there is no room, because it is only answered.
  [[nodiscard]] bool Take(Lane& lane, std::int64_t offset, std::int64_t bytes, bool has_expired);
  // It is parked no more, whatever room there is: it runs, has ended, or is not in the log any more.
  void Unpark() { --parked_; }
  // Returns the lanes that had a part in it, in the order of their offsets.
  std::vector<Lane*> EndChunk(std::int64_t to);
  // Lanes of which something has expired by now (wall clock), and which were not told of yet.
  [[nodiscard]] std::vector<Lane*> TakeDue(std::int64_t now_ms);
  // What has an order key is not read back while something before it may be unread.
  void SetUnread(bool unread) { unread_ = unread; }
  [[nodiscard]] bool unread() const { return unread_; }
  // The same as of lanes, for what is unread.
  bool TakeWantUnread() { return std::exchange(unread_wanted_, false) && unread_ && !away_ && !no_room_; }
  [[nodiscard]] bool WantUnread() { return unread_ && !away_ && !no_room_ && !std::exchange(unread_wanted_, true); }
  // There is no room for what is unread.
  void SetFull(bool full) { no_room_ = full; }
  // The log cannot be read for the moment: nothing is wanted.
  void SetAway(bool away) { away_ = away; }
  [[nodiscard]] std::vector<Lane*> All();  // in the order in which they were seen

  [[nodiscard]] std::int64_t bytes() const { return bytes_; }    // held
  [[nodiscard]] std::int64_t parked() const { return parked_; }  // records
  [[nodiscard]] std::int64_t lanes() const { return lanes_; }

 private:
  [[nodiscard]] std::int64_t LaneBytes() const;
  [[nodiscard]] bool MayRead(const Lane& lane) const;
  void SetParked(Lane& lane, std::int64_t first, std::int64_t last);
  void EndDue(Lane& lane);
  void LeaveChunk(Lane& lane);                       // what is left of it stays parked
  [[nodiscard]] bool IsFirstLook(Lane& lane) const;  // of this chunk
  void Tidy(Lane& lane);

  Room room_;
  std::unordered_map<UserId, std::map<FunctionName, Lane>> users_;
  using Order = std::set<std::tuple<std::int64_t, std::uint64_t, Lane*>>;  // then as they were seen
  Order by_first_;    // lanes that have something parked, by where it begins
  Order by_minute_;   // those of which something expires, by when, unless they are due
  Order by_expired_;  // those that are due, by where what has expired begins
  std::uint64_t last_number_ = 0;
  std::int64_t lanes_ = 0;
  std::int64_t bytes_ = 0;
  std::int64_t parked_ = 0;
  std::uint64_t chunk_ = 0;
  std::int64_t chunk_from_ = 0;
  bool in_chunk_ = false;
  std::vector<Lane*> full_;  // for the chunk
  bool unread_ = false;
  bool unread_wanted_ = false;
  bool away_ = false;
  bool no_room_ = false;
};

}  // namespace hearth::dispatcher
