#include "executor/registration.h"

#include <utility>

namespace hearth::executor {

Registration::Registration(Loop& loop, const std::string& redis, ExecutorId id, std::function<ExecutorRecord()> read,
                           std::function<void(bool, std::string)> on_state, redis::Credentials credentials)
    : id_(std::move(id)),
      read_(std::move(read)),
      client_(
          loop, redis,
          [this, report = std::move(on_state)](bool up, std::string reason) {
            report(up, std::move(reason));
            if (up) Renew();  // a Redis that was away or replaced knows it at once
          },
          std::move(credentials)),
      renew_(loop, [this] { Renew(); }),
      give_up_(loop, [this] { Finish(); }) {
  renew_.StartEvery(kRegistrationRenewMs);
}

void Registration::Renew() {
  if (left_ || !client_.up()) return;
  const ExecutorRecord record = read_();
  const std::string key = "ex:" + id_.value;
  const auto ignore = [](Result<redis::Value>) {};
  client_.Command({"HSET",         key,
                   "address",      record.address,
                   "http",         record.http,
                   "incarnation",  record.incarnation,
                   "acceleration", record.acceleration,
                   "state",        record.state,
                   "credit",       std::to_string(record.credit),
                   "held",         std::to_string(record.held),
                   "instances",    std::to_string(record.machines),
                   "memory_mib",   std::to_string(record.memory_mib),
                   "pools",        EncodePools(record.pools)},
                  ignore);
  client_.Command({"PEXPIRE", key, std::to_string(kRegistrationExpiryMs)}, ignore);
  client_.Command({"SADD", "ex:idx", id_.value}, ignore);
}

void Registration::Leave(std::function<void()> done) {
  left_ = std::move(done);
  renew_.Cancel();
  give_up_.StartOnce(client_.up() ? kRegistrationLeaveMs : 0);
  if (!client_.up()) return;
  client_.Command({"DEL", "ex:" + id_.value}, [](Result<redis::Value>) {});
  client_.Command({"SREM", "ex:idx", id_.value}, [this](Result<redis::Value>) { give_up_.StartOnce(0); });
}

void Registration::Finish() {
  if (const auto done = std::exchange(left_, [] {})) done();
}

}  // namespace hearth::executor
