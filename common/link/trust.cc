#include "common/link/trust.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "common/base/fd.h"
#include "common/base/hmac.h"
#include "common/base/sha256.h"
#include "common/config/reader.h"
#include "common/loop/stream.h"

namespace hearth {
namespace {

constexpr mode_t kOthers = 077;

void AppendField(std::string& out, std::string_view field) {
  out += fmt::format("{}:", field.size());  // so that no two lists of fields are the same bytes
  out += field;
}

}  // namespace

Result<std::string> ReadLinkSecret(const std::string& file) {
  const auto wrong = [&](const std::string& what) { return Fail(Code::kInvalid, file + ": " + what); };
  const Fd opened(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat about{};
  if (!opened || fstat(opened.get(), &about) != 0) return wrong("cannot be read");
  if (!S_ISREG(about.st_mode)) return wrong("is not a regular file");
  if (about.st_uid != geteuid() && about.st_uid != 0) return wrong("belongs to another account");
  if ((about.st_mode & kOthers) != 0) return wrong("others may read it: set its mode to 0600");
  std::array<char, kMaxLinkSecretBytes + 1> bytes{};
  const ssize_t count = read(opened.get(), bytes.data(), bytes.size());
  if (count < 0) return wrong("cannot be read");
  std::string secret(bytes.data(), static_cast<std::size_t>(count));
  secret.resize(std::min(secret.size(), secret.find('\n')));
  if (secret.size() < kMinLinkSecretBytes || secret.size() > kMaxLinkSecretBytes) {
    return wrong(fmt::format("its first line must have {} to {} bytes", kMinLinkSecretBytes, kMaxLinkSecretBytes));
  }
  return secret;
}

LinkTrust ReadLinkTrust(ConfigReader& reader) {
  LinkTrust trust;
  trust.allow_plain = reader.Boolean("link.allow_plain", false,
                                     "the link may leave the host over TCP, although its frames are not encrypted");
  const std::string file = reader.String(
      "link.secret_file", "",
      "file of mode 0600 whose first line, of 32 bytes or more, both sides of the link prove to know. Without one only "
      "Unix sockets are used");
  if (file.empty()) return trust;
  if (auto secret = ReadLinkSecret(file)) {
    trust.secret = std::move(*secret);
  } else {
    reader.Reject("link.secret_file", secret.error().message);
  }
  return trust;
}

Result<void> CheckLinkAddress(const std::string& address, const LinkTrust& trust) {
  const auto reach = ReachOf(address);
  if (!reach) return std::unexpected(reach.error());
  if (*reach == Reach::kUnix) return {};
  if (trust.secret.empty()) {
    return Fail(Code::kInvalid, "address '" + address + "': the link speaks TCP only with link.secret_file");
  }
  if (*reach == Reach::kNetwork && !trust.allow_plain) {
    return Fail(
        Code::kInvalid,
        "address '" + address + "': the link is not encrypted, and leaves this host only with link.allow_plain = true");
  }
  return {};
}

std::string NewNonce() {
  std::string nonce(kNonceBytes, '\0');
  if (getrandom(nonce.data(), nonce.size(), 0) != static_cast<ssize_t>(nonce.size())) std::abort();
  return ToHex(nonce);
}

std::string ProofOf(const LinkTrust& trust, LinkRole role, const Handshake& handshake) {
  if (trust.secret.empty()) return {};
  std::string said;
  AppendField(said, role == LinkRole::kDispatcher ? "hearth link dispatcher" : "hearth link executor");
  AppendField(said, handshake.dispatcher.value);
  AppendField(said, handshake.executor.value);
  AppendField(said, handshake.dispatcher_nonce);
  AppendField(said, handshake.executor_nonce);
  return HmacSha256Hex(trust.secret, said);
}

bool Proves(const LinkTrust& trust, LinkRole role, const Handshake& handshake, const std::string& proof) {
  if (handshake.dispatcher_nonce.size() != 2 * kNonceBytes || handshake.executor_nonce.size() != 2 * kNonceBytes) {
    return false;
  }
  return EqualInConstantTime(ProofOf(trust, role, handshake), proof);
}

}  // namespace hearth
