// Keys that both daemons have, and what they mean: above all under which address others reach a daemon. That stands in
// Redis, and is not where the daemon listens if that is every address of a host.
#pragma once

#include <string>
#include <string_view>

#include "common/base/address.h"

namespace hearth {

class ConfigReader;

// An optional key. Rejects what nobody could dial: no address, a wildcard, port 0.
std::string ReadAdvertised(ConfigReader& reader, std::string_view key, AddressForms forms, std::string_view about);

// What is to be told to whoever runs the daemon: it listens at a wildcard, which others cannot dial, and `key`, which
// would say what they can, is absent. Empty where all is well.
std::string WarnOfWildcard(const std::string& listens, const std::string& advertised, std::string_view key,
                           AddressForms forms);

// The keys http and http_advertise.
struct StatusKeys {
  std::string http;
  std::string advertised;  // empty: reached where it listens

  // HOST:PORT, as others dial it; `port` is the one that was taken.
  [[nodiscard]] std::string Address(int port) const;
};
StatusKeys ReadStatusKeys(ConfigReader& reader);

std::string ReadLogLevel(ConfigReader& reader);

constexpr std::string_view kAboutKafka = "brokers, HOST:PORT[,…]";
constexpr std::string_view kAboutRedis =
    "Redis, `unix:PATH` or `tcp:HOST:PORT`; host names are looked up anew each time";

}  // namespace hearth
