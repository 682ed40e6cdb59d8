// The connections from dispatchers. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/loop/loop.h"
#include "common/loop/stream.h"
#include "executor/core/core.h"
#include "schemas/link.h"

namespace hearth::executor {

constexpr std::size_t kMaxDispatcherLinks = 256;
constexpr std::int64_t kDispatcherHelloMs = 5000;

class DispatcherLinks {
 public:
  struct Callbacks {
    std::function<void(LinkId, const DispatcherId&)> connected;  // its hello was read
    std::function<void(LinkId, link::Message)> message;
    std::function<void(LinkId, const std::string& reason)> disconnected;  // only after `connected`
    std::function<void(const std::string& reason)> refused;               // a peer that never said a proper hello
  };
  static Result<std::unique_ptr<DispatcherLinks>> Listen(Loop& loop, const std::string& address, Callbacks callbacks);
  DispatcherLinks(const DispatcherLinks&) = delete;
  DispatcherLinks& operator=(const DispatcherLinks&) = delete;

  // Encodes now, writes at Flush: the messages of one step travel together. A message that no frame holds ends the
  // connection there.
  void Send(LinkId link, const link::Message& message);
  void Flush();
  [[nodiscard]] std::size_t size() const { return links_.size(); }

 private:
  struct Link {
    std::unique_ptr<FrameStream> stream;
    std::unique_ptr<Timer> deadline;  // gone once the hello was read
    std::string out;
    std::string broken;  // why the connection ends at the next Flush: a message that no frame holds
    bool greeted = false;
  };

  DispatcherLinks(Loop& loop, Callbacks callbacks) : loop_(loop), callbacks_(std::move(callbacks)) {}
  void Accept(std::unique_ptr<FrameStream> stream);
  void Take(LinkId id, RawFrame raw);
  void Close(LinkId id, const std::string& reason);

  Loop& loop_;
  const Callbacks callbacks_;
  std::unique_ptr<Listener> listener_;
  std::map<LinkId, Link> links_;
  std::vector<LinkId> unsent_;
  LinkId last_ = 0;
};

}  // namespace hearth::executor
