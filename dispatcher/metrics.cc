#include "dispatcher/metrics.h"

#include <array>
#include <map>
#include <string>

namespace hearth::dispatcher {
namespace {

using Labels = std::map<std::string, std::string>;
using prometheus::BuildCounter;
using prometheus::BuildGauge;

constexpr std::size_t kTotal = 5;  // of the stages; those before it follow one another

}  // namespace

const char* KindName(Trace::Kind kind) {
  switch (kind) {
    case Trace::Kind::kReceived: return "received";
    case Trace::Kind::kRefused: return "refused";
    case Trace::Kind::kPlaced: return "placed";
    case Trace::Kind::kRetried: return "retried";
    case Trace::Kind::kDeadLettered: return "dead_lettered";
    case Trace::Kind::kCompleted: return "completed";
    case Trace::Kind::kNacked: return "nacked";
    case Trace::Kind::kAdopted: return "adopted";
    case Trace::Kind::kFenced: return "fenced";
    case Trace::Kind::kLostPlacement: return "lost_placement";
  }
  return "unknown";
}

Metrics::Metrics(prometheus::Registry& registry)
    : records_(BuildCounter()
                   .Name("hearth_dispatcher_records_total")
                   .Help("Records that are complete, by the status of their outcome")
                   .Register(registry),
               [](std::size_t i) { return Labels{{"status", std::string(kStatuses.at(i).name)}}; }),
      starts_(BuildCounter()
                  .Name("hearth_dispatcher_start_paths_total")
                  .Help("Invocations that ran, by start path")
                  .Register(registry)),
      events_(
          BuildCounter().Name("hearth_dispatcher_events_total").Help("State changes of invocations").Register(registry),
          [](std::size_t i) { return Labels{{"kind", KindName(static_cast<Trace::Kind>(i))}}; }),
      stages_(registry, "hearth_dispatcher_stage_seconds",
              "Time of each stage: intake (Kafka to received), place, lease, start, run, and total (received to ended)",
              {"intake", "place", "lease", "start", "run", "total"}),
      batch_items_(BuildCounter()
                       .Name("hearth_dispatcher_batch_items_total")
                       .Help("Items of batches that have ended, by the status that they got")
                       .Register(registry)),
      held_(BuildGauge().Name("hearth_dispatcher_held").Help("What the dispatcher holds now").Register(registry)),
      queue_(BuildGauge().Name("hearth_dispatcher_queue_depth").Help("Waiting entries of a queue").Register(registry)),
      queue_limit_(
          BuildGauge().Name("hearth_dispatcher_queue_limit").Help("Most entries of a queue").Register(registry)),
      directory_(BuildGauge()
                     .Name("hearth_dispatcher_directory")
                     .Help("The directory in Redis: up, waiting slots, lag in seconds, commands, refused writes, "
                           "reaped slots")
                     .Register(registry)),
      conservation_(BuildGauge()
                        .Name("hearth_dispatcher_conservation_difference")
                        .Help("Received minus in flight minus complete: reads zero at every moment")
                        .Register(registry)
                        .Add({})) {}

void Metrics::Count(const Trace& trace) {
  events_.Count(static_cast<std::size_t>(trace.kind));
  if (trace.kind != Trace::Kind::kCompleted) return;
  records_.Count(static_cast<std::size_t>(trace.status));
  if (trace.path == StartPath::kNone) return;
  starts_.Count(static_cast<std::size_t>(trace.path),
                [&] { return Labels{{"path", std::string(StartPathName(trace.path))}}; });
  const Times& times = trace.times;
  const std::array<std::int64_t, 6> at{times.enqueued_us, times.received_us, times.placed_us,
                                       times.leased_us,   times.started_us,  times.ended_us};
  for (std::size_t stage = 0; stage + 1 < at.size(); ++stage) stages_.Observe(stage, at[stage], at[stage + 1]);
  stages_.Observe(kTotal, times.received_us, times.ended_us);
}

void Metrics::Show(const Gauges& gauges, const Directory::Numbers& directory, std::size_t executors,
                   std::size_t partitions_aside) {
  const auto held = [this](const char* what, std::int64_t value) {
    held_.Add({{"what", what}}).Set(static_cast<double>(value));
  };
  held("received", gauges.received);
  held("complete", gauges.complete);
  held("in_flight", gauges.in_flight);
  held("parked", gauges.parked);
  held("queued", gauges.queued);
  held("backlog_lanes", gauges.backlog_lanes);
  held("lost", gauges.lost);
  held("placed", gauges.placed);
  held("users", gauges.users);
  held("users_wanting", gauges.users_wanting);
  held("lanes_sleeping", gauges.lanes_sleeping);
  held("missed_wakeups", gauges.missed_wakeups);
  held("partitions", gauges.partitions);
  held("partitions_aside", static_cast<std::int64_t>(partitions_aside));
  held("executors_connected", static_cast<std::int64_t>(executors));
  held("executors_up", gauges.executors_up);
  held("oldest_incomplete_age_ms", gauges.oldest_incomplete_age_ms);
  held("ledger_window", gauges.window_max);
  held("ledger_incomplete_ranges", gauges.incomplete_ranges_max);
  held("maps_truncated", gauges.maps_truncated);
  held("pages_written", gauges.pages_written);
  held("page_failures", gauges.page_failures);
  held("output_failures", gauges.output_failures);
  held("batches_running", gauges.batches_running);
  held("batches_waiting", gauges.batches_waiting);
  held("batch_window", gauges.batch_window);
  held("batch_items_pending", gauges.batch_items_pending);
  held("oldest_batch_age_ms", gauges.oldest_batch_age_ms);
  for (const ItemStatusRow& row : kItemStatuses) {
    if (row.status == ItemStatus::kPending) continue;
    auto& ended = batch_items_.Add({{"status", std::string(row.name)}});
    ended.Increment(static_cast<double>(gauges.batch_items_ended[row.status]) - ended.Value());
  }
  held("decision_bytes", gauges.decision_bytes);
  const auto queue = [this](const char* name, std::int64_t depth, std::int64_t limit) {
    queue_.Add({{"queue", name}}).Set(static_cast<double>(depth));
    queue_limit_.Add({{"queue", name}}).Set(static_cast<double>(limit));
  };
  queue("held_bytes", gauges.held_bytes, gauges.held_bytes_limit);
  queue("decisions", gauges.decisions, static_cast<std::int64_t>(kMaxDecisions));
  queue("directory", directory.waiting, static_cast<std::int64_t>(kMaxDirectoryBacklog));
  directory_.Add({{"what", "up"}}).Set(directory.up ? 1 : 0);
  directory_.Add({{"what", "lag_seconds"}}).Set(static_cast<double>(directory.lag_ms) * 1e-3);
  directory_.Add({{"what", "commands"}}).Set(static_cast<double>(directory.commands));
  directory_.Add({{"what", "reaped"}}).Set(static_cast<double>(directory.reaped));
  directory_.Add({{"what", "refused"}}).Set(static_cast<double>(directory.refused));
  conservation_.Set(static_cast<double>(gauges.received - gauges.in_flight - gauges.complete));
}

}  // namespace hearth::dispatcher
