#include "common/base/unix_socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/address.h"
#include "common/base/fd.h"

namespace hearth {

sockaddr_un SocketName(const std::string& path) {
  static_assert(sizeof sockaddr_un::sun_path == kMaxSocketPathBytes + 1);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  path.copy(name.sun_path, kMaxSocketPathBytes);
  return name;
}

void RemoveStaleSocket(const std::string& path) {
  const Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un name = SocketName(path);
  if (!probe || connect(probe.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0) return;
  if (errno == ECONNREFUSED) unlink(path.c_str());
}

}  // namespace hearth
