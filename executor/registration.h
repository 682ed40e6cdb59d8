// How dispatchers find this executor: its own record in Redis, the hash ex:<id>, and its place in the set ex:idx. The
// record expires unless it is renewed. All of it is best effort: Redis being away harms nothing here. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/loop/loop.h"
#include "common/redis/client.h"
#include "schemas/pool_status.h"

namespace hearth::executor {

constexpr std::int64_t kRegistrationRenewMs = 1000;
constexpr std::int64_t kRegistrationExpiryMs = 3000;
constexpr std::int64_t kRegistrationLeaveMs = 500;  // how long leaving may take

// What the record says.
struct ExecutorRecord {
  std::string address;  // where dispatchers dial
  std::string http;     // HOST:PORT of its status pages
  std::string incarnation;
  std::string acceleration;
  std::string state;  // "ready" or "draining"
  std::int64_t credit = 0;
  std::int64_t held = 0;
  std::int64_t machines = 0;
  std::int64_t memory_mib = 0;
  std::vector<PoolStatus> pools;
};

class Registration {
 public:
  // `read` is called at each renewal.
  Registration(Loop& loop, const std::string& redis, ExecutorId id, std::function<ExecutorRecord()> read,
               std::function<void(bool up, std::string reason)> on_state, redis::Credentials credentials = {});
  // Removes the record, then calls `done`, at the latest after kRegistrationLeaveMs.
  void Leave(std::function<void()> done);
  [[nodiscard]] bool up() const { return client_.up(); }

 private:
  void Renew();
  void Finish();

  const ExecutorId id_;
  const std::function<ExecutorRecord()> read_;
  std::function<void()> left_;
  redis::Client client_;
  Timer renew_;
  Timer give_up_;
};

}  // namespace hearth::executor
