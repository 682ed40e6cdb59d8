// What a daemon itself costs, under the names that Prometheus's own clients give it. Read anew for each page.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

namespace hearth {

// process_cpu_seconds_total, process_resident_memory_bytes and process_open_fds of this process. What /proc does not
// tell is left out. Any thread.
std::vector<prometheus::MetricFamily> ProcessFamilies();

}  // namespace hearth
