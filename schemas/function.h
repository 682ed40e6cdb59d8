// A function: named, versioned code of a user with its settings. Lives in the compacted topic hearth.functions under
// the key "<user>/<name>"; an empty value removes it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "schemas/limits.h"
#include "schemas/runtime.h"

namespace hearth {

struct Function {
  UserId user;
  FunctionName name;
  std::int64_t version = 0;  // rises with each deployment (ms since the epoch of the deployment)
  CodeHash code;             // of the archive (ustar), which lies in the code store at CodePath
  std::int64_t code_bytes = 0;
  Runtime runtime = Runtime::kPython3;
  std::string handler;  // see RuntimeRow
  std::int32_t memory_mib = kDefaultMemoryMib;
  std::int32_t timeout_ms = kDefaultTimeoutMs;
  std::int32_t max_attempts = kDefaultAttempts;
  std::int64_t max_age_ms = kDefaultMaxAgeMs;
  std::int32_t concurrency = 0;  // 0: the user's cap alone
  std::string profile = "default";
  std::map<std::string, std::string> environment;
  std::int32_t container_idle_s = 0;  // an idle container is kept so long; 0: as the executor is configured
  friend bool operator==(const Function&, const Function&) = default;
};

std::string FunctionKey(const UserId& user, const FunctionName& name);  // "<user>/<name>"
// Where a code store has the archive: "u-<user>/<hash>". Code belongs to its user: who knows a hash has not the code.
std::string CodePath(const UserId& user, const CodeHash& code);
std::string EncodeFunction(const Function& function);     // msgpack map, "v" = 1
Result<Function> DecodeFunction(std::string_view bytes);  // decodes and validates every field
// A record of the registry: its key has to name the function that its value holds. Else whoever may write one key could
// replace every user's functions.
Result<Function> DecodeFunctionRecord(std::string_view key, std::string_view value);
Result<void> ValidateFunction(const Function& function);

}  // namespace hearth
