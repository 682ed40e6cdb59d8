#include "dispatcher/app.h"

#include <fmt/format.h>

#include <chrono>
#include <future>
#include <utility>

#include "common/base/time.h"
#include "dispatcher/decisions_json.h"
#include "schemas/request.h"

namespace hearth::dispatcher {
namespace {

constexpr std::int64_t kFlushMs = 5000;

Settings SettingsOf(const Config& config, const Logger& log) {
  Settings settings = config.core;
  settings.detailed_traces = log->should_log(spdlog::level::debug);
  return settings;
}

}  // namespace

App::App(Loop& loop, Config config, Logger log)
    : loop_(loop),
      config_(std::move(config)),
      log_(std::move(log)),
      metrics_(*registry_),
      core_(SettingsOf(config_, log_)),
      turn_end_(loop,
                [this] {
                  if (links_ != nullptr) links_->Flush();
                }),
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
  auto status = ServeStatus(config_.status.http, readiness_, registry_);
  if (!status) return std::unexpected(status.error());
  status_ = std::move(*status);
  if (auto served = ServeDecisions(); !served) return served;
  auto producer = kafka::Producer::Create(loop_, config_.kafka, config_.core.id.value);
  if (!producer) return std::unexpected(producer.error());
  producer_ = std::move(*producer);
  auto chunks = kafka::ChunkReader::Create(loop_, config_.kafka, config_.core.id.value);
  if (!chunks) return std::unexpected(chunks.error());
  chunks_ = std::move(*chunks);
  pages_ = std::make_unique<PageStore>(loop_, *producer_,
                                       PageTopic{config_.kafka, config_.core.id.value, config_.ledger_topic});
  states_ = std::make_unique<StateStore>(
      loop_, StateTopic{config_.kafka, config_.core.id.value, config_.core.batch_state_topic});
  AddLinks();
  OpenDirectory();
  if (auto follows = FollowFunctions(); !follows) return follows;
  tick_.StartEvery(kTickMs);
  show_.StartEvery(kShowMs);
  log_->info("dispatcher={} http={} kafka={} group={} starts", config_.core.id.value, status_->port(), config_.kafka,
             config_.group);
  if (const auto warning =
          WarnOfWildcard(config_.status.http, config_.status.advertised, "http_advertise", kHttpAddress);
      !warning.empty()) {
    log_->warn("dispatcher={} {}", config_.core.id.value, warning);
  }
  return {};
}

// What users ran when, and where: not for everybody who reaches the status port.
Result<void> App::ServeDecisions() {
  if (config_.decisions.empty()) return {};
  auto decisions = HttpServer::Start(config_.decisions, [this](std::string_view path) { return Explain(path); });
  if (!decisions) return FailWith("decisions", decisions.error());
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

void App::Show() {
  metrics_.Show(core_.ReadGauges(ReadClocks()), directory_->Read(), links_->connected(),
                consumer_ == nullptr ? 0 : consumer_->aside());
  readiness_->Set("executors", links_->connected() > 0 ? "" : "none is connected");
  TellLinesLeftOut();
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
