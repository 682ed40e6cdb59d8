// The connection to the agent of one machine: a Unix socket that the executor listens on and QEMU connects to, once.
// Loop thread only. `lost` may destroy the link; the other callbacks may not.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/loop/loop.h"
#include "common/loop/stream.h"
#include "schemas/guest.h"
#include "schemas/limits.h"

namespace hearth::executor {

// A guest is not trusted: one that sends more than this in a second, or costs more of the loop's processor time for all
// that is done with what it sends, is cut off. Refused frames, pongs and logs count like all others.
constexpr std::int64_t kMaxGuestFramesPerSecond = 20'000;
constexpr Budget kGuestBudget{256LL << 20, 300'000};
constexpr const char* kGuestFloods = "the guest floods its link";
constexpr std::size_t kMaxGuestRuntimes = 16;  // that a HELLO names
// The next chunk of an archive is queued while less than this waits for the guest: what is sent beside an archive waits
// behind so much, and never behind the archive. In one turn of the loop no more than that is handed to a guest, however
// fast it reads: others' machines wait for no archive either.
constexpr std::size_t kArchiveQueueBytes = 2 * kMaxCodeChunkBytes;

class GuestLink {
 public:
  struct Callbacks {
    std::function<void()> connected;               // QEMU connected; may be empty
    std::function<void(guest::Hello)> hello;       // once, before any frame
    std::function<void(guest::Frame)> frame;       // decoded; sizes are within the limits
    std::function<void(std::string reason)> lost;  // once, and nothing after it
  };

  // Listens at `path` (at most 107 bytes). Unless HELLO came `hello_within_ms` later, the link is lost; with 0 there is
  // no such limit until ExpectHelloWithin sets one.
  static Result<std::unique_ptr<GuestLink>> Listen(Loop& loop, const std::string& path, std::int64_t hello_within_ms,
                                                   Callbacks callbacks);
  GuestLink(const GuestLink&) = delete;
  GuestLink& operator=(const GuestLink&) = delete;

  // Sets the time left for HELLO anew; nothing once it has come.
  void ExpectHelloWithin(std::int64_t hello_within_ms);
  // Asks a restored agent, which said HELLO before it was saved, to say it again. May be repeated until HELLO came.
  void Greet();
  // QEMU's process, once it has connected.
  [[nodiscard]] std::optional<pid_t> process() const;
  [[nodiscard]] bool connected() const { return stream_ != nullptr && !lost_; }
  // Queues a frame (bounded by kMaxStreamQueueBytes; a guest that does not read is lost). What no frame holds is
  // refused.
  Result<void> Send(const guest::Frame& frame);
  // Sends the code in chunks, one archive after another. `sent` is called once the last chunk is queued, perhaps from
  // inside the call, and not at all if the link is lost before.
  void SendArchive(CodeHash hash, std::shared_ptr<const std::string> bytes, std::function<void()> sent);
  [[nodiscard]] std::size_t queued_bytes() const { return stream_ == nullptr ? 0 : stream_->queued_bytes(); }

 private:
  GuestLink(Loop& loop, Callbacks callbacks);
  void Accept(std::unique_ptr<FrameStream> stream);
  void Take(RawFrame raw);
  void Lose(std::string reason);
  void SendChunks();

  struct Archive {
    CodeHash hash;
    std::shared_ptr<const std::string> bytes;
    std::function<void()> sent;
    std::size_t at = 0;
  };

  Loop& loop_;
  Callbacks callbacks_;
  Timer deadline_;
  Timer next_turn_;                     // of sending archives
  std::unique_ptr<Listener> listener_;  // gone once QEMU has connected
  std::unique_ptr<FrameStream> stream_;
  std::deque<Archive> archives_;  // the first is on its way
  bool greeted_ = false;
  int spare_hellos_ = 0;  // a greeted agent may say it once for each time that it was asked, and once by itself
  bool lost_ = false;
  std::uint64_t window_start_ms_ = 0;
  std::int64_t window_frames_ = 0;
};

}  // namespace hearth::executor
