#include "dispatcher/links.h"

#include <algorithm>
#include <utility>

#include "schemas/request.h"

namespace hearth::dispatcher {

ExecutorLinks::ExecutorLinks(Loop& loop, DispatcherId self, LinkTrust trust, Callbacks callbacks)
    : loop_(loop),
      self_(std::move(self)),
      trust_(std::move(trust)),
      callbacks_(std::move(callbacks)),
      resolver_(loop) {}

void ExecutorLinks::Add(const std::string& address) {
  if (auto allowed = CheckLinkAddress(address, trust_); !allowed) {
    return callbacks_.failed(address, allowed.error().message);
  }
  Peer& peer = peers_[address];
  peer.wanted = true;
  if (peer.timer != nullptr) return;
  peer.address = address;
  peer.timer = std::make_unique<Timer>(loop_, [this, address] {
    Peer& due = peers_.at(address);
    if (due.stream != nullptr) return Close(address, "no hello in the time allowed");
    if (due.wanted && !due.dialling) Connect(due);
  });
  peer.timer->StartOnce(0);
}

void ExecutorLinks::KeepOnly(const std::vector<std::string>& addresses) {
  for (auto& [address, peer] : peers_) {
    const bool was_wanted =
        std::exchange(peer.wanted, std::find(addresses.begin(), addresses.end(), address) != addresses.end());
    if (was_wanted && !peer.wanted) callbacks_.unwanted(address);
    if (peer.wanted && peer.stream == nullptr && !peer.dialling) peer.timer->StartOnce(kRedialFirstMs);
  }
}

void ExecutorLinks::Connect(Peer& peer) {
  peer.dialling = true;
  Dial(loop_, resolver_, peer.address,
       [this, address = peer.address,
        alive = std::weak_ptr<bool>(alive_)](Result<std::unique_ptr<FrameStream>> dialled) {
         if (alive.expired()) return;
         Peer& dialled_peer = peers_.at(address);
         dialled_peer.dialling = false;
         if (!dialled) {
           if (dialled.error().code == Code::kNotFound && !std::exchange(dialled_peer.heard, true)) {
             callbacks_.absent(address);
           }
           if (dialled_peer.wanted) callbacks_.failed(address, dialled.error().message);
           dialled_peer.timer->StartOnce(dialled_peer.backoff_ms);
           dialled_peer.backoff_ms = std::min(2 * dialled_peer.backoff_ms, kRedialMostMs);
           return;
         }
         dialled_peer.stream = std::move(*dialled);
         if (!dialled_peer.stream->PeerIsOurs()) return Close(address, "another account of this host listens there");
         dialled_peer.stream->Start([this, address](RawFrame raw) { Take(address, std::move(raw)); },
                                    [this, address](std::string reason) { Close(address, reason); });
         dialled_peer.handshake = {self_, {}, NewNonce(), {}};
         std::string hello;
         if (auto made = link::AppendLinkMessage(
                 hello, link::DispatcherHello{link::kProtocolVersion, self_, dialled_peer.handshake.dispatcher_nonce});
             !made)
           return Close(address, made.error().message);
         dialled_peer.timer->StartOnce(kExecutorHelloMs);
         dialled_peer.stream->Send(hello);
       });
}

void ExecutorLinks::Take(const std::string& address, RawFrame raw) {
  Peer& peer = peers_.at(address);
  auto message = link::DecodeLinkMessage(std::move(raw));
  if (!message) return Close(address, message.error().message);
  if (peer.executor.empty()) return Greet(peer, std::move(*message));
  if (std::holds_alternative<link::ExecutorHello>(*message) || std::holds_alternative<link::Challenge>(*message)) {
    return Close(address, "a second hello");
  }
  callbacks_.message(peer.executor, std::move(*message));
}

void ExecutorLinks::Greet(Peer& peer, link::Message message) {
  auto& handshake = peer.handshake;
  if (!handshake.executor.empty()) {
    auto* hello = std::get_if<link::ExecutorHello>(&message);
    if (hello == nullptr) return Close(peer.address, "no hello followed the challenge");
    return Open(peer, std::move(*hello));
  }
  const auto* challenge = std::get_if<link::Challenge>(&message);
  if (challenge == nullptr) return Close(peer.address, "the first message was no challenge");
  if (challenge->protocol != link::kProtocolVersion) {
    return Close(peer.address, "the executor speaks another version of the link");
  }
  if (!IsIdentifier(challenge->executor.value)) return Close(peer.address, "the challenge has no proper id");
  handshake.executor = challenge->executor;
  handshake.executor_nonce = challenge->nonce;
  if (!Proves(trust_, LinkRole::kExecutor, handshake, challenge->proof)) {
    return Close(peer.address, "the executor did not prove that it knows the link's secret");
  }
  std::string proof;
  (void)link::AppendLinkMessage(proof, link::Proof{ProofOf(trust_, LinkRole::kDispatcher, handshake)});
  peer.stream->Send(proof);
}

void ExecutorLinks::Open(Peer& peer, link::ExecutorHello hello) {
  if (hello.protocol != link::kProtocolVersion || hello.executor != peer.handshake.executor) {
    return Close(peer.address, "the hello is not of the executor that proved itself");
  }
  if (by_executor_.contains(hello.executor)) {
    return Close(peer.address, "executor " + hello.executor.value + " is connected already");
  }
  peer.executor = hello.executor;
  peer.backoff_ms = kRedialFirstMs;
  peer.timer->Cancel();
  by_executor_[peer.executor] = &peer;
  peer.heard = true;
  callbacks_.connected(peer.address, std::move(hello));
}

void ExecutorLinks::Close(const std::string& address, const std::string& reason) {
  Peer& peer = peers_.at(address);
  const std::string why = reason;  // may live in what is destroyed here
  const ExecutorId executor = std::exchange(peer.executor, {});
  const auto stream = std::move(peer.stream);
  peer.out.clear();
  peer.broken.clear();
  peer.session = {};
  std::erase(unsent_, &peer);
  peer.timer->StartOnce(peer.backoff_ms);
  if (executor.empty()) {
    peer.backoff_ms = std::min(2 * peer.backoff_ms, kRedialMostMs);
    if (peer.wanted) callbacks_.failed(address, why);
    return;
  }
  by_executor_.erase(executor);
  callbacks_.disconnected(executor, why);
}

std::vector<std::string> ExecutorLinks::Unheard() const {
  std::vector<std::string> unheard;
  for (const auto& [address, peer] : peers_) {
    if (peer.wanted && !peer.heard) unheard.push_back(address);
  }
  return unheard;
}

void ExecutorLinks::Send(const ExecutorId& executor, link::Message&& message) {
  const auto found = by_executor_.find(executor);
  if (found == by_executor_.end()) return;
  if (found->second->out.empty()) unsent_.push_back(found->second);
  const std::size_t before = found->second->out.size();
  if (auto appended = found->second->session.Append(found->second->out, message); !appended)
    found->second->broken = appended.error().message;
  unsent_bytes_ += found->second->out.size() - before;
}

void ExecutorLinks::Flush() {
  unsent_bytes_ = 0;
  if (unsent_.empty()) return;
  for (Peer* peer : std::exchange(unsent_, {})) {
    if (peer->stream == nullptr) continue;
    if (!peer->broken.empty()) {
      Close(peer->address, peer->broken);
      continue;
    }
    // The link may end by the write: what is written is not its own. The memory goes round.
    std::string out = std::exchange(peer->out, std::exchange(spare_, {}));
    peer->stream->Send(out);
    out.clear();
    if (out.capacity() <= kGatheredBytes) spare_ = std::move(out);
  }
}

}  // namespace hearth::dispatcher
