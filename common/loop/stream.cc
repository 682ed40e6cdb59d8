#include "common/loop/stream.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <utility>

#include "common/base/address.h"
#include "common/base/unix_socket.h"

namespace hearth {
namespace {

constexpr int kBacklog = 128;
constexpr std::size_t kReadChunkBytes = 64U << 10;

Result<Address> ParseText(const std::string& text) {
  auto address = ParseAddress(text);
  if (!address) return FailWith("address '" + text + "'", std::move(address.error()));
  return address;
}

bool IsLoopback(const Endpoint& name) {
  constexpr std::uint32_t kLoopbackNet = 127;
  if (name.raw.ss_family == AF_INET) {
    return ntohl(reinterpret_cast<const sockaddr_in*>(&name.raw)->sin_addr.s_addr) >> 24 == kLoopbackNet;
  }
  return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(&name.raw)->sin6_addr);
}

std::int64_t ThreadCpuMicros() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::int64_t{used.tv_sec} * 1'000'000 + used.tv_nsec / 1000;
}

}  // namespace

Result<Reach> ReachOf(const std::string& text) {
  const auto address = ParseText(text);
  if (!address) return std::unexpected(address.error());
  if (address->is_unix()) return Reach::kUnix;
  const auto numeric = NumericEndpoint(*address);
  return numeric && IsLoopback(*numeric) ? Reach::kLoopback : Reach::kNetwork;
}

Result<std::string> InNumbers(const std::string& text) {
  const auto address = ParseText(text);
  if (!address) return std::unexpected(address.error());
  if (address->is_unix() || NumericEndpoint(*address)) return text;
  const auto names = LookUp(*address);
  if (!names) return FailWith("address '" + text + "'", names.error());
  return "tcp:" + names->front().host() + ":" + std::to_string(address->port);
}

struct FrameStream::Impl {
  union {
    uv_stream_t stream;
    uv_pipe_t pipe;
    uv_tcp_t tcp;
  };
  FrameReader reader;
  std::array<char, kReadChunkBytes> chunk{};
  std::function<void(RawFrame)> on_frame;
  std::function<void(std::string)> on_close;
  std::function<void()> on_room;
  std::optional<Meter> meter;
  std::string floods;   // why who spends more is cut off
  bool closed = false;  // no callback any more

  Impl(Loop& loop, bool is_unix) {
    if (is_unix) {
      uv_pipe_init(loop.raw(), &pipe, 0);
    } else {
      uv_tcp_init(loop.raw(), &tcp);
      uv_tcp_nodelay(&tcp, 1);
    }
    stream.data = this;
  }

  void Close() {
    closed = true;
    auto* handle = reinterpret_cast<uv_handle_t*>(&stream);
    if (uv_is_closing(handle) == 0) uv_close(handle, [](uv_handle_t* h) { delete static_cast<Impl*>(h->data); });
  }

  void Fault(std::string reason) {
    if (closed) return;
    closed = true;
    uv_read_stop(&stream);
    if (auto report = std::exchange(on_close, nullptr)) report(std::move(reason));  // may destroy the owner
  }

  // Of a Unix socket's other end.
  [[nodiscard]] std::optional<ucred> Peer() const {
    uv_os_fd_t descriptor = -1;
    ucred peer{};
    socklen_t size = sizeof peer;
    if (uv_fileno(reinterpret_cast<const uv_handle_t*>(&stream), &descriptor) != 0 ||
        getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
      return std::nullopt;
    }
    return peer;
  }

  void Take(std::string_view bytes) {
    std::int64_t spent_us = meter ? ThreadCpuMicros() : 0;
    if (!Spend(static_cast<std::int64_t>(bytes.size()), kReadMicros)) return;
    if (auto fed = reader.Feed(bytes); !fed) return Fault(fed.error().message);
    while (!closed) {
      auto frame = reader.Next();
      if (!frame) return;
      on_frame(std::move(*frame));
      if (!meter || closed) continue;
      const std::int64_t now_us = ThreadCpuMicros();
      Spend(0, now_us - std::exchange(spent_us, now_us));
    }
  }

  bool Spend(std::int64_t bytes, std::int64_t micros) {
    if (!meter || meter->Spend(static_cast<std::int64_t>(uv_now(stream.loop)), bytes, micros)) return true;
    Fault(floods);
    return false;
  }
};

FrameStream::FrameStream(Impl* impl) : impl_(impl) {}
FrameStream::~FrameStream() {
  impl_->Close();
}

void FrameStream::Start(std::function<void(RawFrame)> on_frame, std::function<void(std::string)> on_close) {
  impl_->on_frame = std::move(on_frame);
  impl_->on_close = std::move(on_close);
  uv_read_start(
      &impl_->stream,
      [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
        auto* impl = static_cast<Impl*>(handle->data);
        *buffer = uv_buf_init(impl->chunk.data(), kReadChunkBytes);
      },
      [](uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
        auto* impl = static_cast<Impl*>(stream->data);
        if (count < 0) return impl->Fault(count == UV_EOF ? "the peer closed" : uv_strerror(static_cast<int>(count)));
        if (count > 0 && !impl->closed) impl->Take({buffer->base, static_cast<std::size_t>(count)});
      });
}

std::optional<pid_t> FrameStream::PeerProcess() const {
  const auto peer = impl_->Peer();
  return peer && peer->pid > 0 ? std::optional(peer->pid) : std::nullopt;
}

bool FrameStream::PeerIsOurs() const {
  if (impl_->stream.type != UV_NAMED_PIPE) return true;
  const auto peer = impl_->Peer();
  return peer && (peer->uid == geteuid() || peer->uid == 0);
}

void FrameStream::Bound(Budget budget, std::string reason) {
  impl_->meter.emplace(budget);
  impl_->floods = std::move(reason);
}

void FrameStream::Send(std::string_view bytes) {
  if (impl_->closed || bytes.empty()) return;
  auto buffer = uv_buf_init(const_cast<char*>(bytes.data()), static_cast<unsigned>(bytes.size()));  // only read
  std::size_t written = 0;
  if (uv_stream_get_write_queue_size(&impl_->stream) == 0) {
    const int count = uv_try_write(&impl_->stream, &buffer, 1);
    if (count > 0) written = static_cast<std::size_t>(count);
    if (written == bytes.size()) return;
  }
  if (uv_stream_get_write_queue_size(&impl_->stream) + bytes.size() - written > kMaxStreamQueueBytes) {
    return impl_->Fault("the peer does not read");
  }
  struct Write {
    uv_write_t raw{};
    std::string bytes;
  };
  auto* write = new Write{{}, std::string(bytes.substr(written))};  // freed by the write callback
  write->raw.data = write;
  buffer = uv_buf_init(write->bytes.data(), static_cast<unsigned>(write->bytes.size()));
  const int queued = uv_write(&write->raw, &impl_->stream, &buffer, 1, [](uv_write_t* raw, int status) {
    const auto* impl = static_cast<Impl*>(raw->handle->data);
    delete static_cast<Write*>(raw->data);
    if (status == 0 && !impl->closed && impl->on_room) impl->on_room();
  });
  if (queued != 0) delete write;  // the read side reports the lost connection
}

std::size_t FrameStream::queued_bytes() const {
  return uv_stream_get_write_queue_size(&impl_->stream);
}

void FrameStream::OnRoom(std::function<void()> on_room) {
  impl_->on_room = std::move(on_room);
}

struct Listener::Impl {
  Loop* loop = nullptr;
  bool is_unix = false;
  std::string path;
  union {
    uv_stream_t stream;
    uv_pipe_t pipe;
    uv_tcp_t tcp;
  };
  std::function<void(std::unique_ptr<FrameStream>)> on_accept;

  Impl() : stream{} {}
};

Result<std::unique_ptr<Listener>> Listener::Listen(Loop& loop, const std::string& text,
                                                   std::function<void(std::unique_ptr<FrameStream>)> on_accept,
                                                   SocketMode mode) {
  const auto address = ParseText(text);
  if (!address) return std::unexpected(address.error());
  const std::string& path = address->path;
  auto* impl = new Impl;  // freed by libuv's close callback
  auto listener = std::unique_ptr<Listener>(new Listener(impl));
  impl->loop = &loop;
  impl->is_unix = address->is_unix();
  impl->on_accept = std::move(on_accept);
  int status = 0;
  if (impl->is_unix) {
    RemoveStaleSocket(path);
    uv_pipe_init(loop.raw(), &impl->pipe, 0);
    impl->stream.data = impl;
    status = uv_pipe_bind(&impl->pipe, path.c_str());
    if (status == 0) impl->path = path;
    // Before it listens: until then nobody can connect.
    if (status == 0 && mode == SocketMode::kOwner && chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0) {
      status = uv_translate_sys_error(errno);
    }
  } else {
    uv_tcp_init(loop.raw(), &impl->tcp);
    impl->stream.data = impl;
    const auto name = NumericEndpoint(*address);
    if (!name) return Fail(Code::kInvalid, "cannot listen at " + text + ": expected the host in numbers, or localhost");
    status = uv_tcp_bind(&impl->tcp, name->get(), 0);
  }
  if (status == 0) {
    status = uv_listen(&impl->stream, kBacklog, [](uv_stream_t* server, int error) {
      auto* self = static_cast<Impl*>(server->data);
      if (error != 0) return;
      auto* accepted = new FrameStream::Impl(*self->loop, self->is_unix);
      auto stream = std::make_unique<FrameStream>(accepted);
      if (uv_accept(server, &accepted->stream) == 0) self->on_accept(std::move(stream));
    });
  }
  if (status != 0) return Fail(Code::kUnavailable, "cannot listen at " + text + ": " + uv_strerror(status));
  return listener;
}

Listener::~Listener() {
  if (!impl_->path.empty()) unlink(impl_->path.c_str());
  auto* handle = reinterpret_cast<uv_handle_t*>(&impl_->stream);
  if (uv_is_closing(handle) == 0) uv_close(handle, [](uv_handle_t* h) { delete static_cast<Impl*>(h->data); });
}

namespace {

struct Dialling {
  Loop& loop;
  std::string text;
  std::function<void(Result<std::unique_ptr<FrameStream>>)> done;
  Endpoints endpoints{};  // tried one after the other
  std::size_t next = 0;
  bool nobody = true;  // so far: nobody listens at any of them
  uv_connect_t raw{};
  std::unique_ptr<FrameStream> stream{};
};

void Refuse(const Dialling& dialling, Code code, const std::string& why) {
  dialling.done(Fail(code, "cannot connect to " + dialling.text + ": " + why));
}

void ConnectNext(std::unique_ptr<Dialling> owned);

void OnConnected(uv_connect_t* raw, int status) {
  std::unique_ptr<Dialling> owned(static_cast<Dialling*>(raw->data));
  if (status == 0) return owned->done(std::move(owned->stream));
  owned->stream.reset();
  owned->nobody = owned->nobody && (status == UV_ECONNREFUSED || status == UV_ENOENT);
  if (owned->next < owned->endpoints.size()) return ConnectNext(std::move(owned));
  Refuse(*owned, owned->nobody ? Code::kNotFound : Code::kUnavailable, uv_strerror(status));
}

void ConnectNext(std::unique_ptr<Dialling> owned) {
  auto* impl = new FrameStream::Impl(owned->loop, false);
  owned->stream = std::make_unique<FrameStream>(impl);
  owned->raw.data = owned.get();
  auto* dialling = owned.release();  // taken back by OnConnected
  const sockaddr* name = dialling->endpoints[dialling->next++].get();
  if (const int status = uv_tcp_connect(&dialling->raw, &impl->tcp, name, OnConnected); status != 0) {
    OnConnected(&dialling->raw, status);
  }
}

}  // namespace

void Dial(Loop& loop, Resolver& resolver, const std::string& text,
          std::function<void(Result<std::unique_ptr<FrameStream>>)> done) {
  const auto address = ParseText(text);
  if (!address) return done(std::unexpected(address.error()));
  auto owned = std::unique_ptr<Dialling>(new Dialling{loop, text, std::move(done)});
  if (address->is_unix()) {
    auto* impl = new FrameStream::Impl(loop, true);
    owned->stream = std::make_unique<FrameStream>(impl);
    owned->raw.data = owned.get();
    uv_pipe_connect(&owned.release()->raw, &impl->pipe, address->path.c_str(), OnConnected);
    return;
  }
  resolver.Resolve(*address, [shared = std::shared_ptr<Dialling>(std::move(owned))](Result<Endpoints> names) {
    if (!names) return Refuse(*shared, names.error().code, names.error().message);
    auto dialling = std::make_unique<Dialling>(std::move(*shared));
    dialling->endpoints = std::move(*names);
    ConnectNext(std::move(dialling));
  });
}

}  // namespace hearth
