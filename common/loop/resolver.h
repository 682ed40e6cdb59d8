// Host names into addresses, without holding the loop up: each lookup has a thread of its own, because the system's
// resolver blocks for as long as its servers are silent. Nothing is remembered between lookups: a container that is
// made anew keeps its name and changes its address. Loop thread only.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/address.h"
#include "common/base/result.h"
#include "common/loop/loop.h"

namespace hearth {

constexpr std::size_t kMaxLookups = 64;  // of one resolver at once; one more fails

// An address of a socket, as the system's calls take it.
struct Endpoint {
  sockaddr_storage raw{};
  socklen_t size = 0;

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&raw); }
  [[nodiscard]] std::string host() const;  // in numbers
};

// A TCP address whose host is a number or "localhost", which is 127.0.0.1 everywhere; nothing for any other name.
std::optional<Endpoint> NumericEndpoint(const Address& address);

using Endpoints = std::vector<Endpoint>;  // at least one
using Lookup = Result<Endpoints> (*)(const Address&);
// What the system's resolver says, IPv4 first. Blocks. kNotFound: it knows no such name; kUnavailable: it could not
// say.
Result<Endpoints> LookUp(const Address& address);

class Resolver {
 public:
  using Found = std::function<void(Result<Endpoints>)>;
  explicit Resolver(Loop& loop, Lookup lookup = LookUp);
  ~Resolver();  // no answer comes any more
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Calls `found` once: at once where no name is to be looked up. kExhausted: kMaxLookups are under way.
  void Resolve(const Address& address, Found found);

 private:
  struct Pending;
  Loop& loop_;
  const Lookup lookup_;
  std::shared_ptr<Pending> pending_;
};

}  // namespace hearth
