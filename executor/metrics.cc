#include "executor/metrics.h"

#include <algorithm>

namespace hearth::executor {
namespace {

using Labels = std::map<std::string, std::string>;
using prometheus::BuildCounter;
using prometheus::BuildGauge;

enum Stage : std::size_t { kLease, kStart, kRun, kBoot, kRestore };

const char* KindName(Trace::Kind kind) {
  switch (kind) {
    case Trace::Kind::kAccepted: return "accepted";
    case Trace::Kind::kNacked: return "nacked";
    case Trace::Kind::kStarted: return "started";
    case Trace::Kind::kEnded: return "ended";
    case Trace::Kind::kPublished: return "published";
    case Trace::Kind::kOrphaned: return "orphaned";
    case Trace::Kind::kMachineMoved: return "instance_moved";
    case Trace::Kind::kContainerMoved: return "container_moved";
  }
  return "unknown";
}
const char* OutcomeName(bool ok) {
  return ok ? "ready" : "failed";
}
const char* LossName(bool flooded) {
  return flooded ? "flood" : "other";
}

}  // namespace

Metrics::Metrics(prometheus::Registry& registry)
    : attempts_(BuildCounter()
                    .Name("hearth_executor_attempts_total")
                    .Help("Attempts that ended, by status and start path")
                    .Register(registry)),
      events_(BuildCounter()
                  .Name("hearth_executor_events_total")
                  .Help("State changes of attempts, instances and containers")
                  .Register(registry),
              [](std::size_t i) { return Labels{{"kind", KindName(static_cast<Trace::Kind>(i))}}; }),
      starts_(BuildCounter()
                  .Name("hearth_executor_machine_starts_total")
                  .Help("Machines started, by outcome")
                  .Register(registry)),
      lost_(BuildCounter()
                .Name("hearth_executor_machines_lost_total")
                .Help("Machines lost after they were ready: because their guest flooded its link, or otherwise")
                .Register(registry)),
      stages_(
          registry, "hearth_executor_stage_seconds",
          "Time of each stage: lease (placed to leased), start (leased to first instruction), run, boot and restore "
          "(order to ready)",
          {"lease", "start", "run", "boot", "restore"}),
      held_(BuildGauge().Name("hearth_executor_held").Help("What the executor holds now").Register(registry)),
      pool_(BuildGauge()
                .Name("hearth_executor_pool")
                .Help("Machines and shells of a profile, by kind")
                .Register(registry)),
      queue_(BuildGauge().Name("hearth_executor_queue_depth").Help("Waiting entries of a queue").Register(registry)),
      queue_limit_(BuildGauge().Name("hearth_executor_queue_limit").Help("Most entries of a queue").Register(registry)),
      up_(BuildGauge().Name("hearth_executor_peer_up").Help("1 while the peer is connected").Register(registry)),
      acceleration_(BuildGauge()
                        .Name("hearth_executor_acceleration")
                        .Help("1 for the acceleration that machines run under")
                        .Register(registry)),
      way_(BuildGauge()
               .Name("hearth_executor_start_way")
               .Help("1 for the way in which machines of the profile come up")
               .Register(registry)),
      saved_(BuildGauge()
                 .Name("hearth_executor_saved_machines")
                 .Help("Saved machines made anew and condemned since the start, by profile")
                 .Register(registry)) {
  // From zero on, so that the first event is seen as growth.
  for (const bool ok : {true, false}) starts_.Add({{"outcome", OutcomeName(ok)}});
  for (const bool flooded : {true, false}) lost_.Add({{"why", LossName(flooded)}});
}

void Metrics::Count(const Tally& tally) {
  events_.Count(static_cast<std::size_t>(tally.kind));
  if (tally.kind != Trace::Kind::kEnded) return;
  attempts_.Count(static_cast<std::size_t>(tally.status) * kPaths + static_cast<std::size_t>(tally.path), [&] {
    return Labels{{"status", std::string(StatusName(tally.status))}, {"path", std::string(StartPathName(tally.path))}};
  });
  stages_.Observe(kLease, tally.times.placed_us, tally.times.leased_us);
  stages_.Observe(kStart, tally.times.leased_us, tally.times.started_us);
  stages_.Observe(kRun, tally.times.started_us, tally.times.ended_us);
}

void Metrics::Acceleration(const std::string& acceleration) {
  for (const char* kind : {"kvm", "tcg", "simulated"})
    acceleration_.Add({{"kind", kind}}).Set(acceleration == kind ? 1 : 0);
}

void Metrics::Start(bool ok) {
  starts_.Add({{"outcome", OutcomeName(ok)}}).Increment();
}

void Metrics::Lost(bool flooded) {
  lost_.Add({{"why", LossName(flooded)}}).Increment();
}

void Metrics::StartsBy(const std::string& profile, Way way) {
  for (const Way each : {Way::kTemplate, Way::kSave, Way::kBoot}) {
    way_.Add({{"profile", profile}, {"way", std::string(WayName(each))}}).Set(each == way ? 1 : 0);
  }
}

void Metrics::Saved(const std::string& profile, std::int64_t made, std::int64_t condemned) {
  saved_.Add({{"profile", profile}, {"what", "made"}}).Set(static_cast<double>(made));
  saved_.Add({{"profile", profile}, {"what", "condemned"}}).Set(static_cast<double>(condemned));
}

void Metrics::StartTook(StartPath path, std::int64_t micros) {
  stages_.Took(path == StartPath::kRestore ? kRestore : kBoot, micros);
}

void Metrics::Set(const char* name, double value) {
  held_.Add({{"what", name}}).Set(value);
}

void Metrics::Show(const Gauges& gauges, const QueueDepths& depths) {
  Set("attempts", static_cast<double>(gauges.held));
  Set("waiting", static_cast<double>(gauges.waiting));
  Set("running", static_cast<double>(gauges.running));
  Set("publishing", static_cast<double>(gauges.publishing));
  Set("instances", static_cast<double>(gauges.machines));
  Set("assigned_instances", static_cast<double>(gauges.assigned));
  Set("starting_instances", static_cast<double>(gauges.starting));
  Set("containers", static_cast<double>(gauges.containers));
  Set("idle_containers", static_cast<double>(gauges.idle_containers));
  Set("done_ring", static_cast<double>(gauges.done_ring));
  Set("dispatchers", static_cast<double>(depths.dispatchers));
  Set("monitor_commands", static_cast<double>(depths.monitor_commands));
  Set("usage_records_lost", static_cast<double>(depths.usage_lost));
  for (const auto& pool : gauges.pools) {
    const auto show = [&](const char* kind, std::int64_t count) {
      pool_.Add({{"profile", pool.profile}, {"kind", kind}}).Set(static_cast<double>(count));
    };
    show("ready", pool.ready);
    show("target", pool.target);
    show("starting", pool.starting);
    show("assigned", pool.assigned);
    show("shells", pool.shells);
    show("shells_wanted", pool.shells_wanted);
    show("backlog", pool.backlog);
  }
  Set("memory_short", gauges.memory_short ? 1 : 0);
  Set("cpu_short", gauges.cpu_short ? 1 : 0);
  const auto queue = [this](const char* name, double depth, double limit) {
    queue_.Add({{"queue", name}}).Set(depth);
    queue_limit_.Add({{"queue", name}}).Set(limit);
  };
  queue("attempts", static_cast<double>(gauges.held - gauges.waiting), static_cast<double>(gauges.credit));
  queue("waiting", static_cast<double>(gauges.waiting), static_cast<double>(gauges.waiting_limit));
  queue("machine_starts", static_cast<double>(depths.starts), static_cast<double>(depths.starts_limit));
  queue("machine_activations", static_cast<double>(depths.activations), static_cast<double>(depths.activations_limit));
  queue("machine_destroys", static_cast<double>(depths.destroys), static_cast<double>(depths.destroys_limit));
  queue_.Add({{"queue", "outbox"}}).Set(static_cast<double>(depths.outbox));
  up_.Add({{"peer", "redis"}}).Set(depths.redis_up ? 1 : 0);
  if (depths.libvirt_up) up_.Add({{"peer", "libvirt"}}).Set(*depths.libvirt_up ? 1 : 0);
}

}  // namespace hearth::executor
