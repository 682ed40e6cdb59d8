#include "guest/agent/sys.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace hearth::guest {
namespace {

constexpr std::size_t kMaxFileBytes = 64U << 10;

std::int64_t ReadMicros(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

}  // namespace

std::unexpected<Error> FailErrno(std::string_view what) {
  return Fail(Code::kInternal, std::string(what) + ": " + std::strerror(errno));
}

Result<Pair> MakePipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return FailErrno("pipe2");
  Pair pair{Fd(ends[0]), Fd(ends[1])};
  if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return FailErrno("fcntl");
  return pair;
}

Result<Pair> MakeSocketPair(int type) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()) != 0) return FailErrno("socketpair");
  Pair pair{Fd(ends[0]), Fd(ends[1])};
  if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return FailErrno("fcntl");
  return pair;
}

Result<Fd> MakeMemoryFile() {
  Fd file(memfd_create("input", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return FailErrno("memfd_create");
  return file;
}

Result<void> FillAndSeal(const Fd& file, std::string_view bytes) {
  for (off_t at = 0; !bytes.empty();) {
    const ssize_t n = pwrite(file.get(), bytes.data(), bytes.size(), at);
    if (n < 0) return FailErrno("write to memfd");
    bytes.remove_prefix(static_cast<std::size_t>(n));
    at += n;
  }
  constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  if (fcntl(file.get(), F_ADD_SEALS, kSeals) != 0) return FailErrno("seal memfd");
  return {};
}

Result<Fd> MakeSealedFile(std::string_view bytes) {
  auto file = MakeMemoryFile();
  if (!file) return file;
  if (auto filled = FillAndSeal(*file, bytes); !filled) return std::unexpected(filled.error());
  return file;
}

Result<void> SendWithFds(const Fd& socket, std::string_view bytes, std::span<const int> fds) {
  if (fds.size() > kMaxPassedFds) std::abort();
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxPassedFds * sizeof(int))> space{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space.data();
  message.msg_controllen = CMSG_SPACE(fds.size_bytes());
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(fds.size_bytes());
  std::memcpy(CMSG_DATA(head), fds.data(), fds.size_bytes());
  if (sendmsg(socket.get(), &message, MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) return FailErrno("sendmsg");
  return {};
}

Result<std::size_t> ReceiveWithFds(int socket, std::span<char> bytes, std::span<int> fds) {
  if (fds.size() > kMaxPassedFds) std::abort();
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxPassedFds * sizeof(int))> space{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space.data();
  message.msg_controllen = space.size();
  const ssize_t n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  if (n < 0) return FailErrno("recvmsg");
  const cmsghdr* head = CMSG_FIRSTHDR(&message);
  const bool whole = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
  if (n == 0 || !whole || head == nullptr || head->cmsg_type != SCM_RIGHTS ||
      head->cmsg_len != CMSG_LEN(fds.size_bytes()))
    return Fail(Code::kInvalid, "not the packet that was expected");
  std::memcpy(fds.data(), CMSG_DATA(head), fds.size_bytes());
  return static_cast<std::size_t>(n);
}

Result<void> WriteFile(const std::string& path, std::string_view text) {
  const Fd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return FailErrno("open " + path);
  if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return FailErrno("write " + path);
  return {};
}

Result<std::string> ReadFile(const std::string& path) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return FailErrno("open " + path);
  std::string text;
  std::array<char, 4096> block{};
  while (text.size() < kMaxFileBytes) {
    const ssize_t n = read(file.get(), block.data(), block.size());
    if (n < 0) return FailErrno("read " + path);
    if (n == 0) break;
    text.append(block.data(), static_cast<std::size_t>(n));
  }
  return text;
}

std::int64_t ReadKeyed(const std::string& path, std::string_view key) {
  const auto text = ReadFile(path);
  if (!text) return 0;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      std::int64_t value = 0;
      std::from_chars(line.data() + key.size() + 1, line.data() + line.size(), value);
      return value;
    }
  }
  return 0;
}

std::int64_t MonotonicMicros() {
  return ReadMicros(CLOCK_MONOTONIC);
}
std::int64_t WallMicros() {
  return ReadMicros(CLOCK_REALTIME);
}

std::string RandomHex(std::size_t bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string raw(bytes, '\0');
  if (getrandom(raw.data(), bytes, 0) != static_cast<ssize_t>(bytes)) std::abort();  // up to 256 come whole
  std::string text;
  for (const char c : raw) {
    const auto byte = static_cast<unsigned char>(c);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace hearth::guest
