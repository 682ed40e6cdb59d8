#include "common/loop/stream.h"

#include <arpa/inet.h>
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

// An address as the system's calls take it.
struct Endpoint {
  Address address;
  sockaddr_in tcp{};

  [[nodiscard]] const sockaddr* tcp_name() const { return reinterpret_cast<const sockaddr*>(&tcp); }
};

Result<Endpoint> FindEndpoint(const std::string& text) {
  const std::string context = "address '" + text + "'";
  auto address = ParseAddress(text);
  if (!address) return FailWith(context, std::move(address.error()));
  Endpoint endpoint{std::move(*address), {}};
  if (endpoint.address.is_unix()) return endpoint;
  const std::string& host = endpoint.address.host;
  if (uv_ip4_addr(host == "localhost" ? "127.0.0.1" : host.c_str(), endpoint.address.port, &endpoint.tcp) != 0) {
    return Fail(Code::kInvalid, context + ": expected a numeric host and a port");
  }
  return endpoint;
}

std::int64_t ThreadCpuMicros() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::int64_t{used.tv_sec} * 1'000'000 + used.tv_nsec / 1000;
}

}  // namespace

Result<Reach> ReachOf(const std::string& text) {
  const auto endpoint = FindEndpoint(text);
  if (!endpoint) return std::unexpected(endpoint.error());
  if (endpoint->address.is_unix()) return Reach::kUnix;
  constexpr std::uint32_t kLoopbackNet = 127;
  return ntohl(endpoint->tcp.sin_addr.s_addr) >> 24 == kLoopbackNet ? Reach::kLoopback : Reach::kNetwork;
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

void FrameStream::Send(std::string bytes) {
  if (impl_->closed || bytes.empty()) return;
  auto buffer = uv_buf_init(bytes.data(), static_cast<unsigned>(bytes.size()));
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
  auto* write = new Write{{}, bytes.substr(written)};  // freed by the write callback
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
  const auto endpoint = FindEndpoint(text);
  if (!endpoint) return std::unexpected(endpoint.error());
  const std::string& path = endpoint->address.path;
  auto* impl = new Impl;  // freed by libuv's close callback
  auto listener = std::unique_ptr<Listener>(new Listener(impl));
  impl->loop = &loop;
  impl->is_unix = endpoint->address.is_unix();
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
    status = uv_tcp_bind(&impl->tcp, endpoint->tcp_name(), 0);
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

void Dial(Loop& loop, const std::string& text, std::function<void(Result<std::unique_ptr<FrameStream>>)> done) {
  const auto endpoint = FindEndpoint(text);
  if (!endpoint) return done(std::unexpected(endpoint.error()));
  const bool is_unix = endpoint->address.is_unix();
  struct Attempt {
    uv_connect_t raw{};
    std::string text;
    std::unique_ptr<FrameStream> stream;
    std::function<void(Result<std::unique_ptr<FrameStream>>)> done;
  };
  auto* impl = new FrameStream::Impl(loop, is_unix);
  auto* attempt = new Attempt{{}, text, std::make_unique<FrameStream>(impl), std::move(done)};
  attempt->raw.data = attempt;
  const auto finished = [](uv_connect_t* raw, int status) {
    const std::unique_ptr<Attempt> owned(static_cast<Attempt*>(raw->data));
    if (status == 0) return owned->done(std::move(owned->stream));
    owned->stream.reset();
    const bool nobody = status == UV_ECONNREFUSED || status == UV_ENOENT;
    owned->done(Fail(nobody ? Code::kNotFound : Code::kUnavailable,
                     "cannot connect to " + owned->text + ": " + uv_strerror(status)));
  };
  if (is_unix) {
    uv_pipe_connect(&attempt->raw, &impl->pipe, endpoint->address.path.c_str(), finished);
  } else if (const int status = uv_tcp_connect(&attempt->raw, &impl->tcp, endpoint->tcp_name(), finished);
             status != 0) {
    finished(&attempt->raw, status);
  }
}

}  // namespace hearth
