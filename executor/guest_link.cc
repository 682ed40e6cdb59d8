#include "executor/guest_link.h"

#include <fmt/format.h>

#include <utility>

#include "common/base/text.h"
#include "schemas/limits.h"

namespace hearth::executor {

Result<std::unique_ptr<GuestLink>> GuestLink::Listen(Loop& loop, const std::string& path, std::int64_t hello_within_ms,
                                                     Callbacks callbacks) {
  auto link = std::unique_ptr<GuestLink>(new GuestLink(loop, std::move(callbacks)));
  auto listener = Listener::Listen(loop, "unix:" + path, [raw = link.get()](std::unique_ptr<FrameStream> stream) {
    raw->Accept(std::move(stream));
  });
  if (!listener) return std::unexpected(listener.error());
  link->listener_ = std::move(*listener);
  if (hello_within_ms > 0) link->deadline_.StartOnce(hello_within_ms);
  return link;
}

GuestLink::GuestLink(Loop& loop, Callbacks callbacks)
    : loop_(loop),
      callbacks_(std::move(callbacks)),
      deadline_(loop, [this] { Lose("no HELLO in the time allowed"); }),
      next_turn_(loop, [this] { SendChunks(); }) {}

void GuestLink::ExpectHelloWithin(std::int64_t hello_within_ms) {
  if (!greeted_ && !lost_) deadline_.StartOnce(hello_within_ms);
}

void GuestLink::Accept(std::unique_ptr<FrameStream> stream) {
  if (stream_ != nullptr || lost_) return;  // one connection for the life of the machine
  listener_.reset();
  stream_ = std::move(stream);
  stream_->Bound(kGuestBudget, kGuestFloods);
  stream_->OnRoom([this] { SendChunks(); });
  stream_->Start([this](RawFrame raw) { Take(std::move(raw)); },
                 [this](std::string reason) { Lose(std::move(reason)); });
  if (callbacks_.connected) callbacks_.connected();
}

std::optional<pid_t> GuestLink::process() const {
  return stream_ != nullptr ? stream_->PeerProcess() : std::nullopt;
}

void GuestLink::Greet() {
  if (greeted_ || !connected()) return;
  ++spare_hellos_;
  (void)Send({0, guest::Greet{}});
}

void GuestLink::Take(RawFrame raw) {
  if (lost_) return;
  const std::uint64_t now_ms = uv_now(loop_.raw());
  if (now_ms - window_start_ms_ >= 1000) {
    window_start_ms_ = now_ms;
    window_frames_ = 0;
  }
  if (++window_frames_ > kMaxGuestFramesPerSecond) return Lose(kGuestFloods);
  auto frame = guest::DecodeGuestFrame(std::move(raw));
  if (!frame) return Lose("the guest sent rubbish: " + frame.error().message);
  if (auto* hello = std::get_if<guest::Hello>(&frame->message)) {
    if (greeted_) {
      if (spare_hellos_-- > 0) return;
      return Lose("the guest said HELLO twice");
    }
    if (hello->protocol != guest::kProtocolVersion) {
      return Lose(fmt::format("the agent speaks version {}, not {}", hello->protocol, guest::kProtocolVersion));
    }
    if (hello->runtimes.size() > kMaxGuestRuntimes || hello->boot_nonce.size() > kMaxIdentifierBytes) {
      return Lose("the guest's HELLO is beyond its limits");
    }
    greeted_ = true;
    deadline_.Cancel();
    return callbacks_.hello(std::move(*hello));
  }
  if (!greeted_) return Lose("the guest did not begin with HELLO");
  callbacks_.frame(std::move(*frame));
}

void GuestLink::Lose(std::string reason) {
  if (std::exchange(lost_, true)) return;
  deadline_.Cancel();
  next_turn_.Cancel();
  listener_.reset();
  archives_.clear();
  if (const auto report = std::exchange(callbacks_.lost, nullptr))
    report(CutText(reason, kMaxErrorMessageBytes));  // may destroy this
}

Result<void> GuestLink::Send(const guest::Frame& frame) {
  if (stream_ == nullptr || lost_) return {};
  std::string bytes;
  if (auto appended = guest::AppendGuestFrame(bytes, frame); !appended) return appended;
  stream_->Send(bytes);
  return {};
}

void GuestLink::SendArchive(CodeHash hash, std::shared_ptr<const std::string> bytes, std::function<void()> sent) {
  if (stream_ == nullptr || lost_) return;
  archives_.push_back({std::move(hash), std::move(bytes), std::move(sent)});
  if (archives_.size() == 1) SendChunks();
}

void GuestLink::SendChunks() {
  std::size_t in_this_turn = 0;
  while (!archives_.empty() && stream_->queued_bytes() < kArchiveQueueBytes) {
    if (in_this_turn >= kArchiveQueueBytes) return next_turn_.StartOnce(0);
    in_this_turn += kMaxCodeChunkBytes;
    Archive& archive = archives_.front();
    const std::string& bytes = *archive.bytes;
    if (archive.at == 0) (void)Send({0, guest::CodeOffer{archive.hash, static_cast<std::int64_t>(bytes.size())}});
    (void)Send({0, guest::CodeChunk{bytes.substr(archive.at, kMaxCodeChunkBytes)}});
    if (archives_.empty()) return;  // the link was lost by it
    archive.at += kMaxCodeChunkBytes;
    if (archive.at < bytes.size()) continue;
    const auto sent = std::move(archive.sent);
    archives_.pop_front();
    sent();  // may queue another
  }
}

}  // namespace hearth::executor
