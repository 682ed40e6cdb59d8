#include "tools/bench/drive.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>

#include "common/base/time.h"
#include "common/kafka/admin.h"
#include "tools/bench/load_client.h"
#include "tools/bench/load_phase.h"
#include "tools/bench/processes.h"

namespace hearth::bench {
namespace {

constexpr std::int64_t kServerTimeoutMs = 30'000;
constexpr int kPartitions = 8;  // as hearth's own topics
constexpr double kWarmUpSeconds = 2;

int Failed(const Error& error) {
  fmt::print(stderr, "drive: {}\n", error.message);
  return 1;
}

}  // namespace

int RunDrive(const DriveOptions& options) {
  HoldSignals();
  if (options.create) {
    const auto created = kafka::CreateTopics(
        options.bootstrap, {{options.requests, kPartitions, 1, {}}, {options.replies, kPartitions, 1, {}}},
        kServerTimeoutMs);
    return created ? 0 : Failed(created.error());
  }
  auto client = LoadClient::Open(options.bootstrap, {options.replies});
  if (!client) return Failed(client.error());
  PhaseOptions phase;
  phase.prefix = fmt::format("drive-{}-{}-", getpid(), ReadClocks().wall_us);
  phase.seconds = options.seconds;
  phase.in_flight = options.in_flight;
  phase.make = [&](const std::string& id, std::uint64_t) {
    OutRecord record;
    record.topic = options.requests;
    record.key = id;
    record.value = id;
    return record;
  };
  // The first records of a client find out where everything is: they do not count.
  PhaseOptions warm_up = phase;
  warm_up.prefix += "warm-";
  warm_up.seconds = kWarmUpSeconds;
  if (const auto warm = RunPhase(**client, warm_up); !warm) return Failed(warm.error());
  const auto figures = RunPhase(**client, phase);
  if (!figures) return Failed(figures.error());
  fmt::print("{{\"answered\":{},\"lost\":{},\"per_second\":{:.1f},\"p50_ms\":{:.3f},\"p99_ms\":{:.3f}}}\n",
             figures->answered, figures->lost(), figures->throughput(), figures->latency.At(0.5),
             figures->latency.At(0.99));
  return figures->lost() == 0 ? 0 : 1;
}

}  // namespace hearth::bench
