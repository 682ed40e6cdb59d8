// The connections to executors: dials every address it is given, opens the link (common/link/trust.h), and dials again
// with back-off when a connection ends. Until an executor has proven itself it gets nothing but a hello.
// Messages of one turn of the loop travel in one write. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/link/trust.h"
#include "common/loop/loop.h"
#include "common/loop/stream.h"
#include "schemas/link.h"
#include "schemas/link_session.h"

namespace hearth::dispatcher {

constexpr std::int64_t kRedialFirstMs = 100;
constexpr std::int64_t kRedialMostMs = 1000;
constexpr std::int64_t kExecutorHelloMs = 3000;  // for the whole handshake

class ExecutorLinks {
 public:
  struct Callbacks {
    std::function<void(const std::string& address, link::ExecutorHello)> connected;
    std::function<void(const ExecutorId&, link::Message)> message;
    std::function<void(const ExecutorId&, const std::string& reason)> disconnected;
    std::function<void(const std::string& address, const std::string& reason)>
        failed;                                              // could not be dialled or greeted
    std::function<void(const std::string& address)> absent;  // nobody listens there
    // It is dialled no more; what failed there is of no interest now.
    std::function<void(const std::string& address)> unwanted = [](const auto&) {};
  };
  ExecutorLinks(Loop& loop, DispatcherId self, LinkTrust trust, Callbacks callbacks);

  // Dials the address from now on; what is known already is left alone, and where nobody may dial too.
  void Add(const std::string& address);
  // No new dials to addresses that are not among these; what is connected stays.
  void KeepOnly(const std::vector<std::string>& addresses);
  // Where an executor is thought to be that has not answered yet.
  [[nodiscard]] std::vector<std::string> Unheard() const;
  // Encodes now, writes at Flush. A message that no frame holds ends the connection there.
  void Send(const ExecutorId& executor, link::Message&& message);
  void Flush();
  [[nodiscard]] std::size_t unsent_bytes() const { return unsent_bytes_; }
  [[nodiscard]] std::size_t connected() const { return by_executor_.size(); }

 private:
  struct Peer {
    std::string address;
    ExecutorId executor;  // empty until it has said hello
    std::unique_ptr<FrameStream> stream;
    std::unique_ptr<Timer> timer;  // of the next dial, or of the hello
    std::int64_t backoff_ms = kRedialFirstMs;
    bool dialling = false;
    bool wanted = true;
    bool heard = false;  // connected before, or nobody listens
    std::string out;
    std::string broken;   // why the connection ends at the next Flush: a message that no frame holds
    Handshake handshake;  // proven once it names the executor
    link::SessionWriter session;
  };
  void Connect(Peer& peer);
  void Take(const std::string& address, RawFrame raw);
  void Greet(Peer& peer, link::Message message);
  void Open(Peer& peer, link::ExecutorHello hello);
  void Close(const std::string& address, const std::string& reason);

  Loop& loop_;
  const DispatcherId self_;
  const LinkTrust trust_;
  const Callbacks callbacks_;
  Resolver resolver_;
  std::map<std::string, Peer> peers_;  // by address
  std::map<ExecutorId, Peer*> by_executor_;
  std::vector<Peer*> unsent_;
  std::size_t unsent_bytes_ = 0;
  std::string spare_;                                           // empty, with the memory of what was written last
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // a dial may end after this object
};

}  // namespace hearth::dispatcher
