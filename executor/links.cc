#include "executor/links.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "schemas/request.h"

namespace hearth::executor {

Result<std::unique_ptr<DispatcherLinks>> DispatcherLinks::Listen(Loop& loop, const std::string& address, Self self,
                                                                 Callbacks callbacks) {
  if (auto allowed = CheckLinkAddress(address, self.trust); !allowed) return std::unexpected(allowed.error());
  auto links = std::unique_ptr<DispatcherLinks>(new DispatcherLinks(loop, std::move(self), std::move(callbacks)));
  auto listener = Listener::Listen(
      loop, address, [raw = links.get()](std::unique_ptr<FrameStream> stream) { raw->Accept(std::move(stream)); },
      SocketMode::kOwner);
  if (!listener) return std::unexpected(listener.error());
  links->listener_ = std::move(*listener);
  return links;
}

// Strangers who say nothing do not keep dispatchers out: the oldest of them goes.
void DispatcherLinks::MakeRoom() {
  if (links_.size() < kMaxDispatcherLinks) return;
  const auto stranger = std::ranges::find_if(links_, [](const auto& one) { return !one.second.open; });
  if (stranger != links_.end()) Close(stranger->first, "others want to connect");
}

void DispatcherLinks::Accept(std::unique_ptr<FrameStream> stream) {
  if (!stream->PeerIsOurs()) return callbacks_.refused("the peer is another account of this host");
  MakeRoom();
  if (links_.size() >= kMaxDispatcherLinks) {
    return callbacks_.refused(fmt::format("{} dispatchers are connected already", kMaxDispatcherLinks));
  }
  const LinkId id = ++last_;
  Link& link = links_[id];
  link.stream = std::move(stream);
  link.deadline = std::make_unique<Timer>(loop_, [this, id] { Close(id, "no hello in the time allowed"); });
  link.deadline->StartOnce(kDispatcherHelloMs);
  link.stream->Start([this, id](RawFrame raw) { Take(id, std::move(raw)); },
                     [this, id](std::string reason) { Close(id, reason); });
}

void DispatcherLinks::Take(LinkId id, RawFrame raw) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  Link& link = found->second;
  if (!link.open) {
    const auto message = link::DecodeLinkMessage(std::move(raw));
    return message ? Greet(id, link, *message) : Close(id, message.error().message);
  }
  auto decoded = link.session.Decode(std::move(raw));
  if (!decoded) return Close(id, decoded.error().message);
  std::optional<link::Message>& message = *decoded;
  if (!message) return;
  if (std::holds_alternative<link::DispatcherHello>(*message) || std::holds_alternative<link::Proof>(*message)) {
    return Close(id, "a second hello");
  }
  callbacks_.message(id, std::move(*message));
}

void DispatcherLinks::Greet(LinkId id, Link& link, const link::Message& message) {
  if (link.handshake.executor_nonce.empty()) {
    const auto* hello = std::get_if<link::DispatcherHello>(&message);
    if (hello == nullptr) return Close(id, "the first message was no hello");
    if (hello->protocol != link::kProtocolVersion) {
      return Close(id,
                   fmt::format("the dispatcher speaks version {}, not {}", hello->protocol, link::kProtocolVersion));
    }
    if (!IsIdentifier(hello->dispatcher.value)) return Close(id, "the hello has no proper id");
    return Challenge(link, *hello);
  }
  const auto* proof = std::get_if<link::Proof>(&message);
  if (proof == nullptr || !Proves(self_.trust, LinkRole::kDispatcher, link.handshake, proof->proof)) {
    return Close(id, "the dispatcher did not prove that it knows the link's secret");
  }
  link.open = true;
  link.deadline.reset();
  callbacks_.connected(id, link.handshake.dispatcher);
}

void DispatcherLinks::Challenge(Link& link, const link::DispatcherHello& hello) {
  link.handshake = {hello.dispatcher, self_.executor, hello.nonce, NewNonce()};
  std::string bytes;
  (void)link::AppendLinkMessage(bytes,
                                link::Challenge{link::kProtocolVersion, self_.executor, link.handshake.executor_nonce,
                                                ProofOf(self_.trust, LinkRole::kExecutor, link.handshake)});
  link.stream->Send(bytes);
}

void DispatcherLinks::Close(LinkId id, const std::string& reason) {
  const auto node = links_.extract(id);
  if (node.empty()) return;
  const std::string why = reason;  // may live in what is destroyed here
  if (node.mapped().open) return callbacks_.disconnected(id, why);
  callbacks_.refused(why);
}

void DispatcherLinks::Send(LinkId id, const link::Message& message) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  if (found->second.out.empty()) unsent_.push_back(id);
  const std::size_t before = found->second.out.size();
  if (auto appended = link::AppendLinkMessage(found->second.out, message); !appended)
    found->second.broken = appended.error().message;
  unsent_bytes_ += found->second.out.size() - before;
}

void DispatcherLinks::Flush() {
  unsent_bytes_ = 0;
  if (unsent_.empty()) return;
  for (const LinkId id : std::exchange(unsent_, {})) {
    const auto found = links_.find(id);
    if (found == links_.end()) continue;
    if (!found->second.broken.empty()) {
      Close(id, found->second.broken);
      continue;
    }
    // The link may end by the write: what is written is not its own. The memory goes round.
    std::string out = std::exchange(found->second.out, std::exchange(spare_, {}));
    found->second.stream->Send(out);
    out.clear();
    if (out.capacity() <= kGatheredBytes) spare_ = std::move(out);
  }
}

}  // namespace hearth::executor
