// The functions of a load: any number of users with a few functions each, all of the same small code.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "schemas/limits.h"
#include "tools/bench/load_client.h"

namespace hearth::bench {

constexpr const char* kProfile = "default";
constexpr std::int32_t kLoadFunctionMib = 32;

struct LoadFunction {
  std::string user;
  std::string name;
  std::int32_t concurrency = 0;  // 0: the user's
  std::int32_t max_attempts = kDefaultAttempts;
  std::string profile = kProfile;
};

// "PREFIX1"…, each with "f1"….
std::vector<LoadFunction> MakeFunctions(const std::string& prefix, int users, int functions);
Result<void> DeployAll(LoadClient& client, const std::string& code_store, const std::vector<LoadFunction>& functions);
// Invokes each until it has answered ok once, so that dispatchers and executors know it and a container of it is warm.
// kDeadline: some do not; the error says how they end instead.
Result<void> WarmAll(LoadClient& client, const std::vector<LoadFunction>& functions, const std::string& prefix);

// What a request may have besides.
struct RequestMore {
  std::string order_key;        // empty: no order
  std::int64_t expires_ms = 0;  // ms since the epoch; 0: never
};
// A request in the headers form. `key`: of its record.
OutRecord MakeRequest(const LoadFunction& function, const std::string& id, const std::string& topic,
                      const std::string& key, const std::string& payload, const RequestMore& more = {});
// A JSON text of so many bytes; below 4 it is `null`.
std::string MakePayload(std::size_t bytes);

}  // namespace hearth::bench
