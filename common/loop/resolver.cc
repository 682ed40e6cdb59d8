#include "common/loop/resolver.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <system_error>
#include <thread>
#include <utility>

namespace hearth {
namespace {

Result<Endpoints> Ask(const Address& address, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int status = getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &list);
  if (status == EAI_NONAME || status == EAI_NODATA) {
    return Fail(Code::kNotFound, fmt::format("no host is known by the name '{}'", address.host));
  }
  if (status != 0) {
    return Fail(Code::kUnavailable,
                fmt::format("the name '{}' could not be looked up: {}", address.host, gai_strerror(status)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(list, freeaddrinfo);
  Endpoints names;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    Endpoint& name = names.emplace_back();
    std::memcpy(&name.raw, one->ai_addr, one->ai_addrlen);
    name.size = one->ai_addrlen;
  }
  std::ranges::stable_partition(names, [](const Endpoint& name) { return name.raw.ss_family == AF_INET; });
  return names;
}

}  // namespace

std::string Endpoint::host() const {
  char text[NI_MAXHOST] = "";
  getnameinfo(get(), size, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  return text;
}

std::optional<Endpoint> NumericEndpoint(const Address& address) {
  Address numeric = address;
  if (numeric.host == "localhost") numeric.host = "127.0.0.1";
  const auto names = Ask(numeric, AI_NUMERICHOST);
  return names ? std::optional(names->front()) : std::nullopt;
}

Result<Endpoints> LookUp(const Address& address) {
  return Ask(address, 0);
}

struct Resolver::Pending {
  std::map<std::uint64_t, Found> waiting;
  std::uint64_t last = 0;
};

Resolver::Resolver(Loop& loop, Lookup lookup) : loop_(loop), lookup_(lookup), pending_(std::make_shared<Pending>()) {}
Resolver::~Resolver() = default;

void Resolver::Resolve(const Address& address, Found found) {
  if (const auto numeric = NumericEndpoint(address)) return found(Endpoints{*numeric});
  if (pending_->waiting.size() >= kMaxLookups) {
    return found(Fail(Code::kExhausted, fmt::format("the name '{}' was not looked up: {} other lookups are under way",
                                                    address.host, kMaxLookups)));
  }
  const std::uint64_t ticket = ++pending_->last;
  const auto look = [address, ticket, lookup = lookup_, mailbox = loop_.mailbox(),
                     weak = std::weak_ptr<Pending>(pending_)] {
    pthread_setname_np(pthread_self(), "resolver");
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    auto names = lookup(address);
    mailbox->Post([weak, ticket, names = std::move(names)]() mutable {
      const auto pending = weak.lock();
      if (pending == nullptr) return;
      auto node = pending->waiting.extract(ticket);
      if (!node.empty()) node.mapped()(std::move(names));
    });
  };
  try {
    std::thread(look).detach();
  } catch (const std::system_error& error) {
    return found(
        Fail(Code::kExhausted, fmt::format("the name '{}' was not looked up: {}", address.host, error.what())));
  }
  pending_->waiting[ticket] = std::move(found);
}

}  // namespace hearth
