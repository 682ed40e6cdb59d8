// The connections from dispatchers, each of which has proven who it is (common/link/trust.h). Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/link/trust.h"
#include "common/loop/loop.h"
#include "common/loop/stream.h"
#include "executor/core/core.h"
#include "schemas/link.h"
#include "schemas/link_session.h"

namespace hearth::executor {

constexpr std::size_t kMaxDispatcherLinks = 256;
constexpr std::int64_t kDispatcherHelloMs = 5000;  // for the whole handshake

class DispatcherLinks {
 public:
  struct Callbacks {
    std::function<void(LinkId, const DispatcherId&)> connected;  // it has proven itself
    std::function<void(LinkId, link::Message)> message;
    std::function<void(LinkId, const std::string& reason)> disconnected;  // only after `connected`
    std::function<void(const std::string& reason)> refused;               // a peer that has not proven itself
  };
  struct Self {
    ExecutorId executor;
    LinkTrust trust;
  };
  static Result<std::unique_ptr<DispatcherLinks>> Listen(Loop& loop, const std::string& address, Self self,
                                                         Callbacks callbacks);
  DispatcherLinks(const DispatcherLinks&) = delete;
  DispatcherLinks& operator=(const DispatcherLinks&) = delete;

  // Encodes now, writes at Flush: the messages of one turn of the loop travel together. A message that no frame holds
  // ends the connection there.
  void Send(LinkId link, const link::Message& message);
  void Flush();
  [[nodiscard]] std::size_t unsent_bytes() const { return unsent_bytes_; }
  [[nodiscard]] std::size_t size() const { return links_.size(); }

 private:
  struct Link {
    std::unique_ptr<FrameStream> stream;
    std::unique_ptr<Timer> deadline;  // gone once the link is open
    std::string out;
    std::string broken;   // why the connection ends at the next Flush: a message that no frame holds
    Handshake handshake;  // the executor's nonce is empty until the hello was read
    bool open = false;
    link::SessionReader session;  // from then on
  };

  DispatcherLinks(Loop& loop, Self self, Callbacks callbacks)
      : loop_(loop), self_(std::move(self)), callbacks_(std::move(callbacks)) {}
  void Accept(std::unique_ptr<FrameStream> stream);
  void Take(LinkId id, RawFrame raw);
  void Greet(LinkId id, Link& link, const link::Message& message);
  void Challenge(Link& link, const link::DispatcherHello& hello);
  void MakeRoom();
  void Close(LinkId id, const std::string& reason);

  Loop& loop_;
  const Self self_;
  const Callbacks callbacks_;
  std::unique_ptr<Listener> listener_;
  std::map<LinkId, Link> links_;
  std::vector<LinkId> unsent_;
  std::size_t unsent_bytes_ = 0;
  std::string spare_;  // empty, with the memory of what was written last
  LinkId last_ = 0;
};

}  // namespace hearth::executor
