// What everybody needs who listens on a Unix socket with the system's own calls.
#pragma once

#include <sys/un.h>

#include <string>

namespace hearth {

// The path as a socket address; at most kMaxSocketPathBytes of it.
sockaddr_un SocketName(const std::string& path);

// Removes the socket file that an earlier life has left: one that nobody listens behind.
void RemoveStaleSocket(const std::string& path);

}  // namespace hearth
