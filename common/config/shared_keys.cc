#include "common/config/shared_keys.h"

#include <fmt/format.h>

#include "common/config/reader.h"
#include "common/http/server.h"

namespace hearth {

std::string ReadAdvertised(ConfigReader& reader, std::string_view key, AddressForms forms, std::string_view about) {
  std::string text = reader.String(key, "", about);
  if (text.empty()) return text;
  const auto address = ParseAddress(text, forms);
  if (!address) {
    reader.Reject(key, address.error().message);
  } else if (address->is_wildcard() || (!address->is_unix() && address->port == 0)) {
    reader.Reject(key, "must be an address that others can dial: a host and a port");
  }
  return text;
}

std::string WarnOfWildcard(const std::string& listens, const std::string& advertised, std::string_view key,
                           AddressForms forms) {
  const auto address = ParseAddress(listens, forms);
  if (!advertised.empty() || !address || !address->is_wildcard()) return {};
  return fmt::format(
      "{0} is not set: others are told {1}, where they cannot reach this process. Set {0} to its address", key,
      listens);
}

std::string StatusKeys::Address(int port) const {
  if (!advertised.empty()) return advertised;
  const auto address = ParseAddress(http, kHttpAddress);
  return fmt::format("{}:{}", address ? address->host : "", port);
}

StatusKeys ReadStatusKeys(ConfigReader& reader) {
  StatusKeys keys;
  keys.http = reader.RequiredString("http", "HOST:PORT of the status pages: /healthz, /readyz, /metrics");
  keys.advertised = ReadAdvertised(reader, "http_advertise", kHttpAddress,
                                   "HOST:PORT under which others reach `http`; wanted where that is a wildcard");
  return keys;
}

std::string ReadLogLevel(ConfigReader& reader) {
  return reader.Word("log_level", "info", {"trace", "debug", "info", "warn", "error", "critical", "off"},
                     "what the log on standard error tells");
}

}  // namespace hearth
