// What `hearth status` has seen, and what it makes of it: one check for each part of an installation, with a way out
// for each that is missing. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/kafka/admin.h"
#include "tools/hearth/context.h"
#include "tools/hearth/directory.h"
#include "tools/hearth/local_http.h"

namespace hearth::tool {

struct FunctionCount {
  std::size_t own = 0;
  std::size_t all = 0;
};

struct Seen {
  Result<std::vector<kafka::TopicInfo>> topics;
  std::optional<Result<Directory>> directory;          // none: nothing names Redis
  std::map<std::string, Result<LocalAnswer>> pages{};  // /readyz by address
  Result<FunctionCount> functions;
  bool code_store_there = false;
};

enum class Verdict : std::uint8_t { kOk, kMissing, kUnknown };

struct Check {
  std::string what;
  Verdict verdict = Verdict::kOk;
  std::string address;  // empty: it has none
  std::string found;
  std::string way_out{};
};

std::vector<Check> Judge(const Context& context, const Seen& seen);
bool AllOk(const std::vector<Check>& checks);
std::string ToText(const std::vector<Check>& checks);
nlohmann::json ToJson(const std::vector<Check>& checks);

}  // namespace hearth::tool
