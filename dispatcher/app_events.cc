// The half of the shell that turns what happens into events: at executors' links, in Redis and in Kafka.
#include <utility>

#include "common/base/text.h"
#include "dispatcher/app.h"

namespace hearth::dispatcher {
namespace {

constexpr std::int64_t kStartOfLog = 0;

}  // namespace

void App::AddLinks() {
  ExecutorLinks::Callbacks callbacks;
  callbacks.connected = [this](const std::string& address, link::ExecutorHello hello) {
    log_->info("executor={} incarnation={} accel={} credit={} connected", hello.executor.value, hello.incarnation,
               hello.acceleration, hello.credit);
    readiness_->Remark("link " + address, "");
    Handle(ExecutorConnected{std::move(hello), address});
  };
  callbacks.absent = [this](const std::string& address) { Handle(ExecutorAbsent{address}); };
  callbacks.message = [this](const ExecutorId& executor, link::Message message) {
    Handle(ExecutorMessage{executor, std::move(message)});
  };
  callbacks.disconnected = [this](const ExecutorId& executor, const std::string& reason) {
    log_->warn("executor={} disconnected: {}", executor.value, reason);
    Handle(ExecutorDisconnected{executor});
  };
  callbacks.failed = [this](const std::string& address, const std::string& reason) {
    log_->debug("address={} not connected: {}", address, reason);
    readiness_->Remark("link " + address, reason);
  };
  callbacks.unwanted = [this](const std::string& address) { readiness_->Remark("link " + address, ""); };
  links_ = std::make_unique<ExecutorLinks>(loop_, config_.core.id, config_.link, std::move(callbacks));
  for (const auto& address : config_.executors) links_->Add(address);
  Handle(ExecutorsExpected{links_->Unheard()});
}

void App::OpenDirectory() {
  Directory::Callbacks callbacks;
  callbacks.state = [this](bool up, const std::string& reason) {
    const bool told = reason == std::exchange(redis_alarm_, reason);  // one line for each change, not for each try
    if (!up && told) return;
    if (up) {
      readiness_->Set("redis", "");  // later losses do not make the dispatcher unready: it goes on without
      readiness_->Remark("directory", "connected");
      log_->info("redis={} connected", config_.redis);
    } else {
      readiness_->Remark("directory", "away: " + reason);
      log_->warn("redis={} away: {}", config_.redis, reason);
    }
  };
  callbacks.loaded = [this](UserId user, std::vector<std::pair<ExecutorId, link::Slot>> slots) {
    Handle(UserLoaded{std::move(user), std::move(slots)});
  };
  callbacks.executors = [this](std::vector<std::string> addresses) {
    addresses.insert(addresses.end(), config_.executors.begin(), config_.executors.end());
    links_->KeepOnly(addresses);
    for (const auto& address : addresses) links_->Add(address);
    Handle(ExecutorsExpected{links_->Unheard()});
  };
  callbacks.alarm = [this](const std::string& what) { log_->error("redis={} {}", config_.redis, what); };
  callbacks.shared = [this](UserId user, bool shared) { Handle(UserShared{std::move(user), shared}); };
  callbacks.claimed = [this](UserId user, ExecutorId executor, ContainerId container, std::int64_t since_ms,
                             bool granted) {
    Handle(SlotClaimed{std::move(user), std::move(executor), std::move(container), since_ms, granted});
  };
  directory_ = std::make_unique<Directory>(
      loop_, config_.redis,
      Directory::Self{config_.core.id, config_.status.Address(status_->port()), config_.decisions},
      std::move(callbacks), Directory::Options{.credentials = config_.redis_account});
}

Result<void> App::FollowFunctions() {
  kafka::FunctionCallbacks callbacks;
  callbacks.updated = [this](std::shared_ptr<const Function> function) {
    log_->info("user={} fn={} version={} known", function->user.value, function->name.value, function->version);
    Handle(FunctionUpdated{std::move(function)});
  };
  callbacks.removed = [this](const UserId& user, const FunctionName& name) {
    log_->info("fn={} removed", Quoted(FunctionKey(user, name)));
    Handle(FunctionRemoved{user, name});
  };
  callbacks.unreadable = [this](const std::string& key, const std::string& reason) {
    log_->warn("fn={} has a record that cannot be read: {}", Quoted(key), reason);
  };
  callbacks.caught_up = [this] {
    readiness_->Set("functions", "");
    functions_alarm_.clear();
    log_->info("topic={} is read to its end", config_.functions_topic);
    if (auto joined = JoinGroup(); !joined) {
      log_->error("group={} cannot be joined: {}", config_.group, joined.error().message);
      readiness_->Set("group", joined.error().message);
    }
  };
  callbacks.alarm = [this](const std::string& what) {
    readiness_->Remark("functions", what);
    if (what != std::exchange(functions_alarm_, what)) log_->warn("{}", what);
  };
  auto follower = kafka::FollowFunctions(loop_, config_.kafka, config_.core.id.value, config_.functions_topic,
                                         std::move(callbacks));
  if (!follower) return std::unexpected(follower.error());
  follower_ = std::move(*follower);
  return {};
}

Result<void> App::JoinGroup() {
  kafka::GroupConsumer::Callbacks callbacks;
  callbacks.assigned = [this](std::vector<kafka::Assigned> partitions) {
    log_->info("group={} partitions={} assigned", config_.group, partitions.size());
    for (auto& each : partitions) {
      Handle(PartitionAssigned{each.partition, each.next_offset, std::move(each.metadata), each.log_end});
    }
    readiness_->Set("group", "");
  };
  callbacks.revoked = [this](std::vector<PartitionId> partitions, bool lost) {
    log_->info("group={} partitions={} {}", config_.group, partitions.size(), lost ? "lost" : "revoked");
    for (auto& partition : partitions) stepper_.Push(PartitionRevoked{std::move(partition), lost});
    Run();
  };
  callbacks.records = [this](std::vector<std::shared_ptr<const Record>> records) {
    Handle(RecordsReceived{std::move(records)});
  };
  callbacks.caught_up = [this](const PartitionId& partition, std::int64_t next) { Handle(CaughtUp{partition, next}); };
  callbacks.log_start_moved = [this](const PartitionId& partition, std::int64_t start) {
    Handle(LogStartMoved{partition, start});
  };
  callbacks.begin = [this](const PartitionId& partition, std::int64_t committed, const std::string& metadata) {
    if (partition.topic == config_.core.batches_topic) return kStartOfLog;  // whatever is committed: all keys matter
    return IntakePosition(committed, metadata);
  };
  callbacks.alarm = [this](const std::string& what) { log_->warn("kafka: {}", what); };
  callbacks.counted = [this](const kafka::PartitionCounts& counts) {
    const std::string difference = kafka::DifferentCounts(counts);
    if (std::exchange(partitions_alarm_, difference) == difference) return;
    readiness_->Remark("partitions", difference.empty() ? "the same number of each topic" : difference);
    if (!difference.empty()) log_->warn("group={} {}", config_.group, difference);
  };
  callbacks.ended = [this](const std::string& why) { loop_.Post([this, why] { End(why); }); };
  kafka::Membership membership{config_.kafka, config_.core.id.value, config_.group, {}};
  for (const auto& [topic, priority] : config_.core.request_topics) membership.topics.push_back(topic);
  membership.topics.push_back(config_.core.batches_topic);
  membership.counted_beside = {config_.core.batch_items_topic, config_.core.batch_state_topic,
                               config_.core.batch_results_topic};
  membership.instance = config_.core.id.value;
  membership.session_ms = config_.session_timeout_ms;
  auto consumer = kafka::GroupConsumer::Create(loop_, std::move(membership), std::move(callbacks));
  if (!consumer) return std::unexpected(consumer.error());
  consumer_ = std::move(*consumer);
  return {};
}

}  // namespace hearth::dispatcher
