#include "common/base/address.h"

#include <charconv>
#include <system_error>

namespace hearth {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr std::string_view kTcp = "tcp:";
constexpr int kMaxPort = 65535;

}  // namespace

Result<Address> ParseAddress(std::string_view text, AddressForms forms) {
  Address address;
  if (text.starts_with(kUnix)) {
    address.path = text.substr(kUnix.size());
    if (address.path.empty() || address.path.size() > kMaxSocketPathBytes) {
      return Fail(Code::kInvalid, "the path must have 1 to 107 bytes");
    }
    return address;
  }
  const auto wrong =
      Fail(Code::kInvalid, forms.bare ? "expected HOST:PORT or unix:PATH" : "expected unix:PATH or tcp:HOST:PORT");
  if (text.starts_with(kTcp)) {
    text.remove_prefix(kTcp.size());
  } else if (!forms.bare) {
    return wrong;
  }
  const auto colon = text.rfind(':');
  address.host = text.substr(0, colon);
  if (address.host.empty()) return wrong;
  if (colon == std::string_view::npos) {
    address.port = forms.default_port;
  } else {
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data() + colon + 1, last, address.port);
    if (error != std::errc{} || end != last) return wrong;
  }
  if (address.port < 0 || address.port > kMaxPort) return wrong;
  return address;
}

}  // namespace hearth
