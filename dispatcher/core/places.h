// Where a place is free, for all executors together: of every profile and runtime the largest container that somebody
// takes now, and what stands in the way where nobody does. Places says what the filters of placement.h would say,
// without a look at each executor, so that what waits costs nothing while there is no place for it. Executors keeps it.
//
// It holds at any time:
// - each executor counts with the lines that were set for it last, and with no other;
// - a place is free for a kind and a size exactly if the filters leave an executor, but for the last of them, the room
//   for attempts that wait for a machine: that one depends on what the user has.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dispatcher/core/request_class.h"
#include "schemas/runtime.h"

namespace hearth::dispatcher {

constexpr std::size_t kRequestClasses = 3;

class Places {
 public:
  using Kind = std::uint32_t;           // a profile and a runtime
  static constexpr Kind kAnywhere = 0;  // needs no executor: always free
  static constexpr std::int32_t kAnySize = INT32_MAX;

  // How an executor stands, or one of its profiles; whoever stands further to the left is the nearer to a free place.
  enum class Standing : std::uint8_t { kFree, kFull, kCooling, kSuspect, kDraining, kLinkDown };

  struct Line {
    Kind kind = kAnywhere;
    std::int32_t largest_mib = 0;
    Standing standing = Standing::kFree;  // not kDraining and not kLinkDown
    friend auto operator<=>(const Line&, const Line&) = default;
  };
  // What one executor counts for.
  struct Part {
    Standing standing = Standing::kLinkDown;
    std::vector<Line> lines;
    std::int64_t credit = 0;                           // that this dispatcher may use, or uses
    std::array<std::int64_t, kRequestClasses> held{};  // by attempts that take long, by class
    std::int64_t waiting = 0;                          // attempts that wait for a machine, on top of the credit
    friend bool operator==(const Part&, const Part&) = default;
  };

  // The number of a kind, which it keeps.
  Kind KindOf(const std::string& profile, Runtime runtime);
  [[nodiscard]] const std::string& ProfileOf(Kind kind) const { return kinds_.at(kind).profile; }

  void Add(const Part& part) { Count(part, 1); }
  void Remove(const Part& part) { Count(part, -1); }

  [[nodiscard]] bool Fits(Kind kind, std::int32_t memory_mib) const {
    return kind == kAnywhere || memory_mib <= Largest(kind, Standing::kFree);
  }
  // Whether anybody could take it, if not now.
  [[nodiscard]] bool IsPossible(Kind kind, std::int32_t memory_mib) const {
    return kind == kAnywhere || memory_mib <= kinds_[kind].possible_mib;
  }
  // Rises whenever something becomes possible, or no longer is.
  [[nodiscard]] std::uint64_t version() const { return version_; }
  // An executor may take on an attempt that waits for a machine, which it did not before.
  void NoteChance() { ++chances_; }
  [[nodiscard]] std::uint64_t chances() const { return chances_; }  // counts up
  // The filter that leaves nobody; empty: it fits.
  [[nodiscard]] std::string_view WhyNot(Kind kind, std::int32_t memory_mib) const;

  // Of the executors that are connected and do not drain.
  [[nodiscard]] std::int64_t credit() const { return credit_; }
  [[nodiscard]] std::int64_t waiting() const { return waiting_; }
  [[nodiscard]] const std::array<std::int64_t, kRequestClasses>& held() const { return held_; }

 private:
  static constexpr std::size_t kListed = 4;            // standings of lines
  static constexpr std::size_t kStandings = 6;         // of executors
  using Sizes = std::map<std::int32_t, std::int32_t>;  // largest container → how many executors

  struct PerKind {
    std::string profile;
    Runtime runtime = Runtime::kPython3;
    std::array<Sizes, kListed> sizes;
    std::int32_t possible_mib = 0;
  };

  [[nodiscard]] std::int32_t Largest(Kind kind, Standing standing) const {
    const Sizes& sizes = kinds_[kind].sizes[static_cast<std::size_t>(standing)];
    return sizes.empty() ? 0 : sizes.rbegin()->first;
  }
  [[nodiscard]] bool IsOffered(Kind kind) const;  // by somebody who is healthy
  void Count(const Part& part, std::int32_t by);

  std::map<std::pair<std::string, Runtime>, Kind> numbers_;
  std::vector<PerKind> kinds_ = std::vector<PerKind>(1);  // the first is kAnywhere
  std::array<std::int32_t, kStandings> executors_{};
  std::int64_t credit_ = 0;
  std::int64_t waiting_ = 0;
  std::array<std::int64_t, kRequestClasses> held_{};
  std::uint64_t version_ = 1;
  std::uint64_t chances_ = 1;
};

}  // namespace hearth::dispatcher
