// The half of the shell that the core drives: stepping it, carrying out its effects, and going down.
#include <fmt/format.h>
#include <sys/random.h>

#include <cstdlib>
#include <utility>

#include "common/base/text.h"
#include "common/base/time.h"
#include "executor/app.h"

namespace hearth::executor {
namespace {

constexpr std::size_t kEntropyBytes = 64;
constexpr std::int64_t kFlushMs = 5000;

std::string Entropy() {
  std::string bytes(kEntropyBytes, '\0');
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) std::abort();
  return bytes;
}

}  // namespace

void App::Handle(Event event) {
  if (core_ == nullptr) return;
  stepper_.Push(std::move(event));
  const bool ran = stepper_.Run(
      [this](Event& next, std::vector<Effect>& effects) { core_->Step(std::move(next), ReadClocks(), effects); },
      [this](auto& effect) { Do(effect); });
  if (ran && links_ != nullptr && links_->unsent_bytes() >= kGatheredBytes) links_->Flush();
}

void App::Do(SendToDispatcher& effect) {
  if (links_ != nullptr) links_->Send(effect.link, effect.message);
}

void App::Do(StartMachine& effect) {
  started_us_[effect.machine] = ReadClocks().mono_us;
  for (const auto& profile : config_.core.profiles) {
    if (profile.name == effect.profile) return driver_->Start(effect.machine, profile, effect.warm_up);
  }
  log_->critical("instance={} profile={} is not in the configuration", effect.machine.value, effect.profile);
  std::abort();
}

void App::Do(KeepShells& effect) {
  for (const auto& profile : config_.core.profiles) {
    if (profile.name == effect.profile) driver_->KeepShells(profile, effect.count);
  }
}

void App::Do(DestroyMachine& effect) {
  log_->info("instance={} is destroyed: {}", effect.machine.value, Quoted(effect.reason));
  driver_->Destroy(effect.machine);
}

void App::Do(MarkOwner& effect) {
  driver_->MarkOwner(effect.machine, effect.user, effect.rank);
}

void App::Do(SendToGuest& effect) {
  if (auto* configure = std::get_if<guest::Configure>(&effect.frame.message)) configure->entropy = Entropy();
  const auto sent = driver_->Send(effect.machine, effect.frame);
  if (sent) return;
  // The container that it is about is not there for it, as if the agent had said so.
  Handle(GuestMessage{effect.machine, {effect.frame.stream, guest::ContainerGone{sent.error().message}}});
}

void App::Do(SendArchive& effect) {
  driver_->SendArchive(effect.machine, effect.hash, std::move(effect.bytes),
                       [this, sent = ArchiveSent{effect.machine, effect.hash}] { Handle(sent); });
}

void App::Do(LoadCode& effect) {
  code_store_->Load(effect.user, effect.hash,
                    [this, user = effect.user, hash = effect.hash](Result<std::shared_ptr<const std::string>> loaded) {
                      if (!loaded)
                        log_->warn("user={} code={} cannot be loaded: {}", user.value, hash.value,
                                   loaded.error().message);
                      Handle(CodeLoaded{user, hash, loaded ? *loaded : nullptr, loaded ? "" : loaded.error().message});
                    });
}

void App::Do(Publish& effect) {
  outbox_->Publish(effect.token, std::move(effect.record));
}

void App::Do(PurgePublishes&) {
  outbox_->PurgeUnsent();
}

void App::Do(PublishUsage& effect) {
  outbox_->PublishUsage(effect.usage);
}

void App::Do(Tally& effect) {
  metrics_.Count(effect);
}

void App::Do(Trace& effect) {
  metrics_.Count({effect.kind, effect.status, effect.path, effect.times});
  switch (effect.kind) {
    case Trace::Kind::kMachineMoved:
      log_->info("user={} instance={} from={} to={} reason={}", effect.user.value, effect.machine.value, effect.from,
                 effect.to, Quoted(effect.reason));
      break;
    case Trace::Kind::kContainerMoved:
      if (!log_->should_log(spdlog::level::debug)) break;
      log_->debug("user={} fn={} instance={} container={} from={} to={} reason={}", effect.user.value,
                  effect.function.value, effect.machine.value, effect.container.value, effect.from, effect.to,
                  Quoted(effect.reason));
      break;
    case Trace::Kind::kOrphaned:
      log_->warn("inv={} user={} fn={} instance={} orphaned reason={}", Quoted(effect.id.value), effect.user.value,
                 effect.function.value, effect.machine.value, Quoted(effect.reason));
      break;
    case Trace::Kind::kNacked:  // counted; under load a line for each would be the log
      if (!log_->should_log(spdlog::level::debug)) break;
      log_->debug("inv={} user={} fn={} nacked reason={}", Quoted(effect.id.value), effect.user.value,
                  effect.function.value, Quoted(effect.reason));
      break;
    case Trace::Kind::kEnded:
      if (!log_->should_log(spdlog::level::debug)) break;
      log_->debug("inv={} user={} fn={} instance={} container={} ended status={} path={}", Quoted(effect.id.value),
                  effect.user.value, effect.function.value, effect.machine.value, effect.container.value,
                  StatusName(effect.status), StartPathName(effect.path));
      break;
    case Trace::Kind::kAccepted:
    case Trace::Kind::kStarted:
    case Trace::Kind::kPublished: break;  // counted; a line for each would be the log
  }
}

void App::Do(DrainFinished&) {
  Shutdown();
}

void App::Drain() {
  if (shutting_down_) return loop_.Stop();
  if (std::exchange(draining_, true) || core_ == nullptr) return Shutdown();
  log_->info("executor={} drains", config_.core.id.value);
  readiness_->Set("draining", "takes no new work");
  Handle(DrainRequested{});
}

void App::Shutdown() {
  if (std::exchange(shutting_down_, true)) return;
  draining_ = true;
  if (core_ == nullptr) return loop_.Stop();
  log_->info("executor={} machines={} goes down", config_.core.id.value, driver_->size());
  tick_.Cancel();
  watch_host_.Cancel();
  shutdown_.StartOnce(kShutdownMs);
  driver_->Close([this] {
    if (outbox_->outstanding() > 0 && !outbox_->Flush(kFlushMs)) {
      log_->error("executor={} records={} could not be written", config_.core.id.value, outbox_->outstanding());
    }
    registration_->Leave([this] {
      log_->info("executor={} is down", config_.core.id.value);
      loop_.Stop();
    });
  });
}

}  // namespace hearth::executor
