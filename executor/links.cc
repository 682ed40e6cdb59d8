#include "executor/links.h"

#include <fmt/format.h>

#include <utility>

namespace hearth::executor {

Result<std::unique_ptr<DispatcherLinks>> DispatcherLinks::Listen(Loop& loop, const std::string& address,
                                                                 Callbacks callbacks) {
  auto links = std::unique_ptr<DispatcherLinks>(new DispatcherLinks(loop, std::move(callbacks)));
  auto listener = Listener::Listen(
      loop, address, [raw = links.get()](std::unique_ptr<FrameStream> stream) { raw->Accept(std::move(stream)); });
  if (!listener) return std::unexpected(listener.error());
  links->listener_ = std::move(*listener);
  return links;
}

void DispatcherLinks::Accept(std::unique_ptr<FrameStream> stream) {
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
  auto message = link::DecodeLinkMessage(std::move(raw));
  if (!message) return Close(id, message.error().message);
  const auto* hello = std::get_if<link::DispatcherHello>(&*message);
  if (link.greeted) {
    if (hello != nullptr) return Close(id, "a second hello");
    return callbacks_.message(id, std::move(*message));
  }
  if (hello == nullptr) return Close(id, "the first message was no hello");
  if (hello->protocol != link::kProtocolVersion) {
    return Close(id, fmt::format("the dispatcher speaks version {}, not {}", hello->protocol, link::kProtocolVersion));
  }
  link.greeted = true;
  link.deadline.reset();
  callbacks_.connected(id, hello->dispatcher);
}

void DispatcherLinks::Close(LinkId id, const std::string& reason) {
  const auto node = links_.extract(id);
  if (node.empty()) return;
  const std::string why = reason;  // may live in what is destroyed here
  if (node.mapped().greeted) return callbacks_.disconnected(id, why);
  callbacks_.refused(why);
}

void DispatcherLinks::Send(LinkId id, const link::Message& message) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  if (found->second.out.empty()) unsent_.push_back(id);
  if (auto appended = link::AppendLinkMessage(found->second.out, message); !appended)
    found->second.broken = appended.error().message;
}

void DispatcherLinks::Flush() {
  for (const LinkId id : std::exchange(unsent_, {})) {
    const auto found = links_.find(id);
    if (found == links_.end()) continue;
    if (!found->second.broken.empty())
      Close(id, found->second.broken);
    else
      found->second.stream->Send(std::exchange(found->second.out, {}));
  }
}

}  // namespace hearth::executor
