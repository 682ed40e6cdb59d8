// The dispatcher's shell: builds everything, turns what happens into events for the core and carries out its effects.
// Loop thread only.
#pragma once

#include <prometheus/registry.h>

#include <array>
#include <memory>
#include <string>

#include "common/daemon/run.h"
#include "common/daemon/stepper.h"
#include "common/http/status.h"
#include "common/kafka/chunks.h"
#include "common/kafka/consumer.h"
#include "common/kafka/functions.h"
#include "common/kafka/producer.h"
#include "common/log/line_budget.h"
#include "common/log/log.h"
#include "common/loop/loop.h"
#include "dispatcher/config.h"
#include "dispatcher/core/core.h"
#include "dispatcher/directory.h"
#include "dispatcher/links.h"
#include "dispatcher/metrics.h"
#include "dispatcher/pages.h"
#include "dispatcher/states.h"

namespace hearth::dispatcher {

constexpr std::int64_t kTickMs = 10;
constexpr std::int64_t kShowMs = 250;      // metrics and readiness
constexpr int kExitFenced = 3;             // another process has our id
constexpr std::int64_t kExplainMs = 1000;  // that a question about a decision waits for the loop

class App : public Daemon {
 public:
  App(Loop& loop, Config config, Logger log);
  ~App() override;
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // Opens what has to be had at once. Then the loop may run: Kafka, Redis and executors are waited for.
  Result<void> Start() override;
  // Takes nothing new, finishes what is placed, commits, leaves the group, stops the loop. The second call does not
  // wait.
  void Drain() override;
  [[nodiscard]] int exit_code() const override { return exit_code_; }

 private:
  Result<void> ServeDecisions();
  HttpAnswer Explain(std::string_view path);  // any thread: asks the loop
  void Show();
  void Stop();
  void End(const std::string& why);

  // app_events.cc
  void AddLinks();
  void OpenDirectory();
  Result<void> FollowFunctions();
  Result<void> JoinGroup();  // once the functions are known, so that nothing known is refused

  // app_effects.cc
  void Handle(Event event);
  void Run();
  void CommitGivenUp();
  void Tell(const Commit& commit, const Result<void>& outcome);
  void Do(SendToExecutor& effect);
  void Do(Produce& effect);
  void Do(Commit& effect);
  void Do(PauseIntake& effect);
  void Do(ResumeIntake& effect);
  void Do(ReadBack& effect);
  void Do(WritePage& effect);
  void Do(ReadPages& effect);
  void Do(ReadStates& effect);
  void TellPages(const std::string& what);
  void TellStates(const std::string& what);
  void Do(LoadUser& effect);
  void Do(DirectoryWrite& effect);
  void Do(DirectoryDropExecutor& effect);
  void Do(ClaimSlot& effect);
  void Do(Trace& effect);
  void TellLinesLeftOut();
  void Do(DrainFinished& effect);

  Loop& loop_;
  const Config config_;
  const Logger log_;
  std::shared_ptr<Readiness> readiness_ = std::make_shared<Readiness>();
  std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  Metrics metrics_;
  Core core_;
  std::unique_ptr<HttpServer> status_;
  std::unique_ptr<HttpServer> decisions_;  // on a thread of its own: an answer waits for the loop
  std::unique_ptr<kafka::Producer> producer_;
  std::unique_ptr<kafka::ChunkReader> chunks_;
  std::unique_ptr<PageStore> pages_;
  std::unique_ptr<StateStore> states_;
  std::unique_ptr<ExecutorLinks> links_;
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<kafka::TopicFollower> follower_;
  std::unique_ptr<kafka::GroupConsumer> consumer_;  // its closing revokes, which uses all that stands above
  TurnEnd turn_end_;
  Timer tick_;
  Timer show_;
  std::array<LineBudget, kTraceKinds> lines_;
  Stepper<Event, Effect> stepper_;
  std::vector<Commit> given_up_;  // of partitions that are given up together: committed together
  bool draining_ = false;
  std::string redis_alarm_;      // the last: one line for each change, not for each try
  std::string functions_alarm_;  // likewise
  std::string chunks_alarm_;
  std::string pages_alarm_;
  std::string states_alarm_;
  std::string partitions_alarm_ = "not known yet";
  int exit_code_ = kExitDrained;
};

}  // namespace hearth::dispatcher
