// What a daemon says that it costs is what it costs.
#include "common/metrics/process.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

namespace hearth {
namespace {

double Value(const std::string& name) {
  const std::vector<prometheus::MetricFamily> families = ProcessFamilies();
  const auto found = std::ranges::find(families, name, &prometheus::MetricFamily::name);
  if (found == families.end() || found->metric.size() != 1) return -1;
  return found->type == prometheus::MetricType::Counter ? found->metric[0].counter.value : found->metric[0].gauge.value;
}

TEST(ProcessMetrics, ProcessorTimeRisesWithWork) {
  const double before = Value("process_cpu_seconds_total");
  ASSERT_GE(before, 0);
  volatile unsigned turns = 0;
  while (Value("process_cpu_seconds_total") < before + 0.01) turns = turns + 1;  // ends: every look costs time
  EXPECT_GT(turns, 0U);
}

TEST(ProcessMetrics, MemoryRisesByWhatIsTouched) {
  constexpr std::size_t kBytes = 64U << 20;
  const double before = Value("process_resident_memory_bytes");
  ASSERT_GT(before, 0);
  const std::vector<char> touched(kBytes, 1);
  EXPECT_GE(Value("process_resident_memory_bytes"), before + static_cast<double>(kBytes) / 2) << touched.size();
}

TEST(ProcessMetrics, DescriptorsAreCounted) {
  const double before = Value("process_open_fds");
  ASSERT_GT(before, 0);
  const std::ifstream one("/proc/self/stat");
  EXPECT_EQ(Value("process_open_fds"), before + 1);
}

}  // namespace
}  // namespace hearth
