// A connection that carries frames (schemas/frame.h), over a Unix socket or TCP, with a bounded queue of what is still
// to be written. Loop thread only.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/loop/budget.h"
#include "common/loop/loop.h"
#include "common/loop/resolver.h"
#include "schemas/frame.h"

namespace hearth {

// A peer that does not read is cut off once this much waits for it.
constexpr std::size_t kMaxStreamQueueBytes = 64U << 20;
// What a read costs besides what is done with the bytes: a peer that sends them one by one pays for each.
constexpr std::int64_t kReadMicros = 5;

// What is gathered in a turn of the loop for one write is written before the turn ends once it is as much.
constexpr std::size_t kGatheredBytes = 64U << 10;

class FrameStream {
 public:
  struct Impl;
  explicit FrameStream(Impl* impl);
  ~FrameStream();  // closes; no callback is called afterwards
  FrameStream(const FrameStream&) = delete;
  FrameStream& operator=(const FrameStream&) = delete;

  // Call once. `on_frame` is called for each whole frame; `on_close` once, when the peer is gone, broke the framing or
  // was cut off. Either may destroy the stream.
  void Start(std::function<void(RawFrame)> on_frame, std::function<void(std::string reason)> on_close);
  // The process that connected to a Unix socket; nothing over TCP, or where it cannot be seen from here.
  [[nodiscard]] std::optional<pid_t> PeerProcess() const;
  // What the peer's bytes may cost the loop in a second, counted as they come and before anything is decoded. A peer
  // that costs more is cut off for `reason`.
  void Bound(Budget budget, std::string reason);
  // False: the peer of a Unix socket is neither of this process's account nor root.
  [[nodiscard]] bool PeerIsOurs() const;
  // Queues framed bytes and writes at once what the socket takes.
  void Send(std::string_view bytes);
  // What still waits to be written.
  [[nodiscard]] std::size_t queued_bytes() const;
  // Called whenever a part of what waited was written. Must not destroy the stream.
  void OnRoom(std::function<void()> on_room);

 private:
  Impl* impl_;
};

enum class Reach : std::uint8_t { kUnix, kLoopback, kNetwork };
// From where an address can be reached. kInvalid: it is none. A host name other than "localhost" counts as the
// network's, because each lookup may say something else.
Result<Reach> ReachOf(const std::string& address);
// The same address with its host in numbers, for a Listener. Blocks where a name is to be looked up.
Result<std::string> InNumbers(const std::string& address);

// Who may connect to a socket file: as the process's umask has it, or its account alone.
enum class SocketMode : std::uint8_t { kUmask, kOwner };

// Listens at "unix:PATH" or "tcp:HOST:PORT" with a host in numbers or "localhost". A stale socket file in the way is
// removed when nobody listens on it.
class Listener {
 public:
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  static Result<std::unique_ptr<Listener>> Listen(Loop& loop, const std::string& address,
                                                  std::function<void(std::unique_ptr<FrameStream>)> on_accept,
                                                  SocketMode mode = SocketMode::kUmask);

 private:
  struct Impl;
  explicit Listener(Impl* impl) : impl_(impl) {}
  Impl* impl_;
};

// Connects to "unix:PATH" or "tcp:HOST:PORT"; calls `done` once, unless the resolver ends before. A name is looked up
// anew each time, and each of its addresses is tried. kNotFound: nobody listens there, or nobody knows the name.
void Dial(Loop& loop, Resolver& resolver, const std::string& address,
          std::function<void(Result<std::unique_ptr<FrameStream>>)> done);

}  // namespace hearth
