#include "common/metrics/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

namespace hearth {
namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

prometheus::MetricFamily Family(const char* name, const char* help, prometheus::MetricType type, double value) {
  prometheus::ClientMetric metric;
  if (type == prometheus::MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  return {name, help, type, {metric}};
}

}  // namespace

std::vector<prometheus::MetricFamily> ProcessFamilies() {
  std::vector<prometheus::MetricFamily> families;
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    families.push_back(Family("process_cpu_seconds_total", "Processor time of this process, user and system",
                              prometheus::MetricType::Counter, Seconds(usage.ru_utime) + Seconds(usage.ru_stime)));
  }
  std::int64_t size_pages = 0;
  std::int64_t resident_pages = 0;
  if (std::ifstream("/proc/self/statm") >> size_pages >> resident_pages) {
    families.push_back(Family("process_resident_memory_bytes", "Memory of this process that is in RAM",
                              prometheus::MetricType::Gauge,
                              static_cast<double>(resident_pages) * static_cast<double>(sysconf(_SC_PAGESIZE))));
  }
  std::error_code error;
  const std::filesystem::directory_iterator descriptors("/proc/self/fd", error);
  if (!error) {
    families.push_back(Family("process_open_fds", "Descriptors that this process has open",
                              prometheus::MetricType::Gauge,
                              static_cast<double>(std::distance(begin(descriptors), end(descriptors)))));
  }
  return families;
}

}  // namespace hearth
