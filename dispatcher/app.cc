#include "dispatcher/app.h"

#include <fmt/format.h>

#include <chrono>
#include <future>
#include <utility>

#include "common/base/text.h"
#include "common/base/time.h"
#include "dispatcher/decisions_json.h"
#include "schemas/function.h"
#include "schemas/request.h"

namespace hearth::dispatcher {
namespace {

constexpr std::int64_t kFlushMs = 5000;

}  // namespace

App::App(Loop& loop, Config config, Logger log)
    : loop_(loop),
      config_(std::move(config)),
      log_(std::move(log)),
      metrics_(*registry_),
      core_(config_.core),
      tick_(loop, [this] { Handle(Tick{}); }),
      show_(loop, [this] { Show(); }) {}

App::~App() {
  consumer_.reset();  // it revokes, which uses all that is left
}

Result<void> App::Start() {
  readiness_->Set("functions", "the registry was not read yet");
  readiness_->Set("group", "no partition is assigned yet");
  readiness_->Set("executors", "none is connected");
  readiness_->Set("redis", "not connected yet");
  auto status = ServeStatus(config_.http, readiness_, registry_);
  if (!status) return std::unexpected(status.error());
  status_ = std::move(*status);
  if (auto served = ServeDecisions(); !served) return served;
  auto producer = kafka::Producer::Create(loop_, config_.kafka, config_.core.id.value);
  if (!producer) return std::unexpected(producer.error());
  producer_ = std::move(*producer);
  AddLinks();
  Directory::Callbacks callbacks;
  callbacks.state = [this](bool up, const std::string& reason) {
    if (up == redis_was_up_ && !up) return;  // one line for each change, not for each try
    redis_was_up_ = up;
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
  const auto http = ParseAddress(config_.http, kHttpAddress);
  if (!http) return std::unexpected(http.error());
  directory_ = std::make_unique<Directory>(
      loop_, config_.redis,
      Directory::Self{config_.core.id, fmt::format("{}:{}", http->host, status_->port()), config_.decisions},
      std::move(callbacks), Directory::Options{.credentials = config_.redis_account});
  if (auto follows = FollowFunctions(); !follows) return follows;
  tick_.StartEvery(kTickMs);
  show_.StartEvery(kShowMs);
  log_->info("dispatcher={} http={} kafka={} group={} starts", config_.core.id.value, status_->port(), config_.kafka,
             config_.group);
  return {};
}

// What users ran when, and where: not for everybody who reaches the status port.
Result<void> App::ServeDecisions() {
  if (config_.decisions.empty()) return {};
  auto decisions = HttpServer::Start(config_.decisions, [this](std::string_view path) { return Explain(path); });
  if (!decisions) return std::unexpected(decisions.error());
  decisions_ = std::move(*decisions);
  return {};
}

HttpAnswer App::Explain(std::string_view path) {
  constexpr std::string_view kPage = "/decisions/";
  const std::string id(path.substr(std::min(kPage.size(), path.size())));
  if (!path.starts_with(kPage) || !IsInvocationId(id, RequestForm::kCloudEventBinary)) return {404, "no such page\n"};
  auto asked = std::make_shared<std::promise<HttpAnswer>>();
  auto answer = asked->get_future();
  loop_.Post([this, id, asked] {
    const Decision* decision = core_.Explain(InvocationId(id));
    asked->set_value(decision == nullptr
                         ? HttpAnswer{404, NoDecisionJson(id, config_.core.id), "application/json"}
                         : HttpAnswer{200, DecisionJson(*decision, config_.core.id), "application/json"});
  });
  if (answer.wait_for(std::chrono::milliseconds(kExplainMs)) != std::future_status::ready) {
    return {503, "{\"error\":\"the dispatcher is busy or ends\"}", "application/json"};
  }
  return answer.get();
}

void App::AddLinks() {
  ExecutorLinks::Callbacks callbacks;
  callbacks.connected = [this](const std::string& address, link::ExecutorHello hello) {
    log_->info("executor={} incarnation={} accel={} credit={} connected", hello.executor.value, hello.incarnation,
               hello.acceleration, hello.credit);
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
  links_ = std::make_unique<ExecutorLinks>(loop_, config_.core.id, config_.link, std::move(callbacks));
  for (const auto& address : config_.executors) links_->Add(address);
  Handle(ExecutorsExpected{links_->Unheard()});
}

Result<void> App::FollowFunctions() {
  kafka::TopicFollower::Callbacks callbacks;
  callbacks.record = [this](const Record& record) {
    if (!record.value.empty()) {
      auto function = DecodeFunctionRecord(record.key, record.value);
      if (!function) {
        return log_->warn("fn={} has a record that cannot be read: {}", Quoted(record.key), function.error().message);
      }
      log_->info("user={} fn={} version={} known", function->user.value, function->name.value, function->version);
      return Handle(FunctionUpdated{std::make_shared<const Function>(std::move(*function))});
    }
    const auto slash = record.key.find('/');
    if (slash == std::string::npos) return;
    log_->info("fn={} removed", Quoted(record.key));
    Handle(FunctionRemoved{UserId(record.key.substr(0, slash)), FunctionName(record.key.substr(slash + 1))});
  };
  callbacks.caught_up = [this] {
    readiness_->Set("functions", "");
    log_->info("topic={} is read to its end", config_.functions_topic);
    if (auto joined = JoinGroup(); !joined) {
      log_->error("group={} cannot be joined: {}", config_.group, joined.error().message);
      readiness_->Set("group", joined.error().message);
    }
  };
  callbacks.alarm = [this](const std::string& what) {
    readiness_->Remark("functions", what);
    log_->warn("kafka: {}", what);
  };
  auto follower = kafka::TopicFollower::Create(loop_, config_.kafka, config_.core.id.value, config_.functions_topic,
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
  callbacks.record = [this](std::shared_ptr<const Record> record) { Handle(RecordReceived{std::move(record)}); };
  callbacks.caught_up = [this](const PartitionId& partition, std::int64_t next) { Handle(CaughtUp{partition, next}); };
  callbacks.log_start_moved = [this](const PartitionId& partition, std::int64_t start) {
    Handle(LogStartMoved{partition, start});
  };
  callbacks.alarm = [this](const std::string& what) { log_->warn("kafka: {}", what); };
  callbacks.ended = [this](const std::string& why) { loop_.Post([this, why] { End(why); }); };
  kafka::Membership membership{config_.kafka, config_.core.id.value, config_.group, {}};
  for (const auto& [topic, priority] : config_.core.request_topics) membership.topics.push_back(topic);
  membership.instance = config_.core.id.value;
  membership.session_ms = config_.session_timeout_ms;
  auto consumer = kafka::GroupConsumer::Create(loop_, std::move(membership), std::move(callbacks));
  if (!consumer) return std::unexpected(consumer.error());
  consumer_ = std::move(*consumer);
  return {};
}

void App::Handle(Event event) {
  stepper_.Push(std::move(event));
  Run();
}

void App::Run() {
  const bool ran = stepper_.Run(
      [this](const Event& event, std::vector<Effect>& effects) { core_.Step(event, ReadClocks(), effects); },
      [this](auto& effect) { Do(effect); }, [this] { CommitGivenUp(); });
  if (ran) links_->Flush();
}

void App::Do(SendToExecutor& effect) {
  links_->Send(effect.executor, effect.message);
}

void App::Do(Produce& effect) {
  producer_->Send(std::move(effect.record), [this, token = effect.token](Result<void> sent) {
    Handle(ProduceFinished{token, sent.has_value(), sent ? "" : sent.error().message,
                           !sent && kafka::IsPermanent(sent.error())});
  });
}

void App::Do(Commit& effect) {
  if (effect.sync) return given_up_.push_back(std::move(effect));
  if (consumer_ == nullptr) return Tell(effect, Fail(Code::kUnavailable, "commit: the group is left"));
  kafka::OffsetCommit commit{effect.partition, effect.offset, std::move(effect.metadata)};
  consumer_->Commit(commit, [this, told = std::move(effect)](const Result<void>& outcome) { Tell(told, outcome); });
}

// One request for all partitions that are given up at once: the loop stands still for one answer and no longer.
void App::CommitGivenUp() {
  if (given_up_.empty()) return;
  const auto commits = std::exchange(given_up_, {});
  std::vector<kafka::OffsetCommit> request;
  request.reserve(commits.size());
  for (const Commit& each : commits) request.push_back({each.partition, each.offset, each.metadata});
  const auto outcomes =
      consumer_ != nullptr
          ? consumer_->CommitNow(request)
          : std::vector<Result<void>>(commits.size(), Fail(Code::kUnavailable, "commit: the group is left"));
  for (std::size_t i = 0; i < commits.size(); ++i) Tell(commits[i], outcomes[i]);
}

void App::Tell(const Commit& commit, const Result<void>& outcome) {
  if (!outcome) {
    log_->warn("partition={}/{} epoch={} {}{}", commit.partition.topic, commit.partition.partition, commit.epoch,
               outcome.error().message, commit.sync ? ": its next owner asks the executors for what was complete" : "");
  }
  Handle(CommitFinished{commit.partition, commit.epoch, outcome.has_value(), outcome ? "" : outcome.error().message});
}

void App::Do(PauseIntake& effect) {
  log_->info("partition={}/{} intake paused", effect.partition.topic, effect.partition.partition);
  if (consumer_ != nullptr) consumer_->Pause(effect.partition);
}

void App::Do(ResumeIntake& effect) {
  log_->info("partition={}/{} intake resumed", effect.partition.topic, effect.partition.partition);
  if (consumer_ != nullptr) consumer_->Resume(effect.partition);
}

void App::Do(LoadUser& effect) {
  directory_->Load(effect.user);
}
void App::Do(DirectoryWrite& effect) {
  directory_->Write(effect.executor, effect.slot);
}
void App::Do(ClaimSlot& effect) {
  directory_->Claim(effect.user, effect.executor, effect.container, effect.since_ms);
}
void App::Do(DirectoryDropExecutor& effect) {
  directory_->DropExecutor(effect.executor);
}

void App::Do(Trace& effect) {
  metrics_.Count(effect);
  const auto line = [&](spdlog::level::level_enum level, const char* what) {
    log_->log(level, "inv={} user={} fn={} executor={} record={}/{}/{} epoch={} attempt={} {} reason={}",
              Quoted(effect.id.value), effect.user.value, effect.function.value, effect.executor.value,
              effect.partition.topic, effect.partition.partition, effect.offset, effect.epoch, effect.attempt, what,
              Quoted(effect.constraint));
  };
  switch (effect.kind) {
    case Trace::Kind::kReceived: return;  // counted; a line for each would be the log
    case Trace::Kind::kPlaced: return line(spdlog::level::debug, "placed");
    case Trace::Kind::kCompleted:
      return log_->debug("inv={} user={} fn={} complete status={} path={}", Quoted(effect.id.value), effect.user.value,
                         effect.function.value, StatusName(effect.status), StartPathName(effect.path));
    case Trace::Kind::kRefused: return line(spdlog::level::info, "refused");
    case Trace::Kind::kRetried: return line(spdlog::level::info, "retried");
    case Trace::Kind::kDeadLettered: return line(spdlog::level::warn, "dead-lettered");
    case Trace::Kind::kNacked: return line(spdlog::level::debug, "nacked");
    case Trace::Kind::kAdopted: return line(spdlog::level::info, "adopted");
    case Trace::Kind::kFenced: return line(spdlog::level::warn, "fenced");
    case Trace::Kind::kLostPlacement: return line(spdlog::level::warn, "lost its place");
  }
}

void App::Do(DrainFinished&) {
  loop_.Post([this] { Stop(); });
}  // not from inside a step: closing revokes

void App::Show() {
  metrics_.Show(core_.ReadGauges(ReadClocks()), directory_->Read(), links_->connected(),
                consumer_ == nullptr ? 0 : consumer_->aside());
  readiness_->Set("executors", links_->connected() > 0 ? "" : "none is connected");
}

void App::Drain() {
  if (std::exchange(draining_, true)) return loop_.Stop();
  log_->info("dispatcher={} drains", config_.core.id.value);
  readiness_->Set("draining", "takes no new work");
  Handle(DrainRequested{});
}

// Nothing is drained or taken back: all of it is the other one's.
void App::End(const std::string& why) {
  log_->critical("dispatcher={} group={} ends: {}. Another dispatcher with this id has joined the group",
                 config_.core.id.value, config_.group, why);
  exit_code_ = kExitFenced;
  loop_.Stop();
}

void App::Stop() {
  follower_.reset();
  if (consumer_ != nullptr) consumer_->Close();  // revokes, and so commits what is complete
  consumer_.reset();
  if (!producer_->Flush(kFlushMs))
    log_->error("dispatcher={} records={} could not be written", config_.core.id.value, producer_->outstanding());
  directory_->Leave([this] {
    log_->info("dispatcher={} is down", config_.core.id.value);
    loop_.Stop();
  });
}

}  // namespace hearth::dispatcher
