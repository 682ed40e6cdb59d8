// Who may speak on the link between dispatchers and executors. Each side proves that it knows the link's secret before
// anything else is said; where there is no secret, the two are accounts of one host that a Unix socket names.
//
//   dispatcher → executor  DispatcherHello: its id and nonce
//   executor → dispatcher  Challenge: its id, its nonce, its proof
//   dispatcher → executor  Proof: the dispatcher's proof
//   executor → dispatcher  ExecutorHello, and the link is open
//
// A proof is HMAC-SHA256 over the side's role, both ids and both nonces, so that none can be repeated, turned around or
// used for another executor. The peers are proven, not their frames: those are neither encrypted nor signed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace hearth {

class ConfigReader;

constexpr std::size_t kNonceBytes = 32;
constexpr std::size_t kMinLinkSecretBytes = 32;
constexpr std::size_t kMaxLinkSecretBytes = 4096;

struct LinkTrust {
  std::string secret{};      // empty: there is none, and only Unix sockets are used
  bool allow_plain = false;  // TCP beyond the loopback, whose frames anybody on the way can read
};

// The first line of the file. kInvalid: it is no regular file, somebody else owns it or may read it, or the line is too
// short or too long.
Result<std::string> ReadLinkSecret(const std::string& file);
// link.secret_file and link.allow_plain.
LinkTrust ReadLinkTrust(ConfigReader& reader);
// kInvalid: nobody may listen at or dial the address, and why. TCP needs a secret, and beyond the loopback also
// allow_plain.
Result<void> CheckLinkAddress(const std::string& address, const LinkTrust& trust);

enum class LinkRole : std::uint8_t { kDispatcher, kExecutor };
struct Handshake {
  DispatcherId dispatcher;
  ExecutorId executor;
  std::string dispatcher_nonce;
  std::string executor_nonce;
};
std::string NewNonce();  // in hex
// In hex; empty where there is no secret.
std::string ProofOf(const LinkTrust& trust, LinkRole role, const Handshake& handshake);
// Takes the same time whatever is wrong. A nonce of another size proves nothing.
bool Proves(const LinkTrust& trust, LinkRole role, const Handshake& handshake, const std::string& proof);

}  // namespace hearth
