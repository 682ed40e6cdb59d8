// The half of the shell that turns what happens into events: in machines, at dispatchers' links, in Kafka and on the
// host.
#include <fmt/format.h>

#include <utility>

#include "common/base/text.h"
#include "common/base/time.h"
#include "executor/app.h"
#include "executor/core/pool.h"
#include "executor/guest_link.h"

namespace hearth::executor {

MachineDriver::Callbacks App::MakeDriverCallbacks() {
  MachineDriver::Callbacks callbacks;
  callbacks.opened = [this](Result<MachineDriver::Opened> opened) {
    if (draining_) return;
    if (opened) return Open(std::move(*opened));
    log_->error("executor={} refuses to run: {}", config_.core.id.value, opened.error().message);
    verdict_ = std::unexpected(opened.error());
    loop_.Stop();
  };
  callbacks.ready = [this](const MachineId& machine, StartPath path, guest::Hello hello) {
    metrics_.Start(true);
    if (std::exchange(failed_starts_, 0) >= kStartFailuresGiveUp) readiness_->Set("machines", "");
    if (const auto node = started_us_.extract(machine); !node.empty()) {
      metrics_.StartTook(path, ReadClocks().mono_us - node.mapped());
    }
    Handle(MachineReady{machine, path, std::move(hello)});
  };
  callbacks.failed = [this](const MachineId& machine, std::string reason) {
    metrics_.Start(false);
    started_us_.erase(machine);
    log_->error("instance={} could not be started: {}", machine.value, Quoted(reason));
    if (++failed_starts_ >= kStartFailuresGiveUp) {
      readiness_->Set("machines", fmt::format("the last {} could not be started: {}", failed_starts_, reason));
    }
    Handle(MachineFailed{machine, std::move(reason)});
  };
  callbacks.lost = [this](const MachineId& machine, std::string reason) {
    log_->warn("instance={} lost: {}", machine.value, Quoted(reason));
    metrics_.Lost(reason == kGuestFloods);
    Handle(MachineLost{machine, std::move(reason)});
  };
  callbacks.frame = [this](const MachineId& machine, guest::Frame frame) {
    Handle(GuestMessage{machine, std::move(frame)});
  };
  callbacks.destroyed = [this](const MachineId& machine) {
    started_us_.erase(machine);
    Handle(MachineDestroyed{machine});
  };
  callbacks.shells = [this](const std::string& profile, std::int32_t ready) { Handle(ShellsChanged{profile, ready}); };
  callbacks.image_changed = [this](const std::string& profile, std::string image) {
    Handle(ImageChanged{profile, std::move(image)});
  };
  callbacks.reconnected = [this] {
    if (std::exchange(failed_starts_, 0) >= kStartFailuresGiveUp) readiness_->Set("machines", "");
  };
  callbacks.must_go_down = [this](Error error) {
    verdict_ = std::unexpected(std::move(error));
    loop_.Post([this] { Shutdown(); });
  };
  return callbacks;
}

Result<void> App::ListenForDispatchers() {
  DispatcherLinks::Callbacks callbacks;
  callbacks.connected = [this](LinkId link, const DispatcherId& dispatcher) {
    log_->info("dispatcher={} link={} connected", dispatcher.value, link);
    Handle(DispatcherConnected{link, dispatcher});
  };
  callbacks.message = [this](LinkId link, link::Message message) {
    Handle(DispatcherMessage{link, std::move(message)});
  };
  callbacks.disconnected = [this](LinkId link, const std::string& reason) {
    log_->warn("link={} disconnected: {}", link, reason);
    Handle(DispatcherDisconnected{link});
  };
  callbacks.refused = [this](const std::string& reason) { log_->warn("a connection was refused: {}", reason); };
  auto links = DispatcherLinks::Listen(loop_, listen_, {config_.core.id, config_.link}, std::move(callbacks));
  if (!links) return FailWith("listen", links.error());
  links_ = std::move(*links);
  return {};
}

Result<void> App::FollowFunctions() {
  kafka::FunctionCallbacks callbacks;
  callbacks.updated = [this](std::shared_ptr<const Function> function) {
    Handle(FunctionUpdated{std::move(function)});
  };
  callbacks.removed = [this](const UserId& user, const FunctionName& name) { Handle(FunctionRemoved{user, name}); };
  callbacks.unreadable = [this](const std::string& key, const std::string& reason) {
    log_->warn("fn={} has a record that cannot be read: {}", Quoted(key), reason);
  };
  callbacks.caught_up = [this] {
    readiness_->Set("kafka", "");
    readiness_->Remark("kafka", "the functions are read");
    last_alarm_.clear();
    log_->info("topic={} is read to its end", config_.functions_topic);
    Handle(FunctionsCaughtUp{});
  };
  callbacks.alarm = [this](const std::string& what) {
    readiness_->Remark("kafka", what);
    if (what == std::exchange(last_alarm_, what)) return;
    log_->warn("{}", what);
  };
  auto follower = kafka::FollowFunctions(loop_, config_.kafka, config_.core.id.value, config_.functions_topic,
                                         std::move(callbacks));
  if (!follower) return std::unexpected(follower.error());
  follower_ = std::move(*follower);
  return {};
}

// Nothing waits for the settings: until they are read, and where the topic does not exist, the configuration holds.
Result<void> App::FollowSettings() {
  kafka::TopicFollower::Callbacks callbacks;
  callbacks.record = [this](const Record& record) {
    auto changed = pool_overrides_.Apply(record.key, record.value);
    if (!changed) return log_->warn("setting={} cannot be read: {}", Quoted(record.key), changed.error().message);
    if (!*changed) return;
    const PoolChanged& pool = **changed;
    log_->info("profile={} pool_min={} pool_max={} shells={} set", pool.profile, pool.min, pool.max, pool.shells);
    Handle(pool);
  };
  callbacks.caught_up = [this] { settings_alarm_.clear(); };
  callbacks.alarm = [this](const std::string& what) {
    if (what != std::exchange(settings_alarm_, what)) log_->warn("{}", what);
  };
  auto follower = kafka::TopicFollower::Create(loop_, config_.kafka, config_.core.id.value, config_.settings_topic,
                                               std::move(callbacks));
  if (!follower) return std::unexpected(follower.error());
  settings_follower_ = std::move(*follower);
  return {};
}

void App::WatchHost() {
  if (const auto pressure = host_watch_.Read(ReadClocks().mono_us)) Handle(*pressure);
}

void App::Register() {
  registration_ = std::make_unique<Registration>(
      loop_, config_.redis, config_.core.id, [this] { return DescribeSelf(); },
      [this](bool up, const std::string& reason) {
        if (up) readiness_->Set("redis", "");  // a later loss makes no executor unready: it goes on without
        readiness_->Remark("redis", up ? "connected" : "away: " + reason);
        if (reason == std::exchange(redis_alarm_, reason) && !up) return;
        if (up) {
          log_->info("redis={} connected", config_.redis);
        } else {
          log_->warn("redis={} away: {}", config_.redis, reason);
        }
      },
      config_.redis_account);
}

}  // namespace hearth::executor
