#include "tools/bench/core.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "tools/bench/core_steps.h"
#include "tools/bench/figures.h"

namespace hearth::bench {
namespace {

constexpr double kMostMicros = 2;  // a step of the dispatcher's core, at the median (docs/performance.md)

std::vector<DispatcherWorldSize> Sizes(const CoreOptions& options) {
  if (options.quick) return {{10, 10, 0}, {100, 10, 100}};
  std::vector<DispatcherWorldSize> sizes = {{10, 10, 0},     {1000, 10, 0},    {100'000, 10, 0},   {1000, 100, 0},
                                            {1000, 1000, 0}, {1000, 10, 1000}, {1000, 10, 100'000}};
  if (options.large)
    sizes.insert(sizes.end(), {{1'000'000, 10, 0}, {1000, 10, 1'000'000}, {1'000'000, 1000, 1'000'000}});
  return sizes;
}

std::vector<int> Machines(const CoreOptions& options) {
  return options.quick ? std::vector<int>{1, 10} : std::vector<int>{1, 10, 100, 1000};
}

}  // namespace

double Steps::MicrosAt(double share) const {
  constexpr double kNanosInMicro = 1000;
  if (nanos_.empty()) return 0;
  std::vector<std::int64_t> sorted = nanos_;
  std::ranges::sort(sorted);
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return static_cast<double>(sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1]) / kNanosInMicro;
}

double Steps::AllocationsEach() const {
  return nanos_.empty() ? 0 : static_cast<double>(allocations_) / static_cast<double>(nanos_.size());
}

int RunCore(const CoreOptions& options) {
  nlohmann::ordered_json json{{"dispatcher", nlohmann::ordered_json::array()},
                              {"executor", nlohmann::ordered_json::array()}};
  std::vector<Bound> bounds;
  const auto number = [](double value) { return fmt::format("{:.2f}", value); };
  Table dispatcher({"dispatcher's core: step", "users", "executors", "waiting", "p50 µs", "p99 µs", "allocations"},
                   options.markdown);
  for (const auto& size : Sizes(options)) {
    fmt::print(stderr, "   {} users, {} executors, {} waiting\n", size.users, size.executors, size.waiting);
    const std::vector<std::string> where = {std::to_string(size.users), std::to_string(size.executors),
                                            std::to_string(size.waiting)};
    const auto figures = MeasureDispatcherCore(size, options.samples, options.most_seconds);
    if (figures.steps.empty()) {
      dispatcher.Add({fmt::format("only {} waiting within {:g} s", figures.filled, options.most_seconds), where[0],
                      where[1], where[2]});
      bounds.push_back(
          {fmt::format("filled: {} users, {} executors, {} waiting", size.users, size.executors, size.waiting),
           static_cast<double>(figures.filled), static_cast<double>(size.waiting), true, ""});
    }
    for (const auto& steps : figures.steps) {
      dispatcher.Add({steps.name(), where[0], where[1], where[2], number(steps.MicrosAt(0.5)),
                      number(steps.MicrosAt(0.99)), fmt::format("{:.1f}", steps.AllocationsEach())});
      bounds.push_back({fmt::format("{}: {} users, {} executors, {} waiting", steps.name(), size.users, size.executors,
                                    size.waiting),
                        steps.MicrosAt(0.5), kMostMicros, false, "µs"});
      json["dispatcher"].push_back({{"step", steps.name()},
                                    {"users", size.users},
                                    {"executors", size.executors},
                                    {"waiting", size.waiting},
                                    {"p50_us", steps.MicrosAt(0.5)},
                                    {"p99_us", steps.MicrosAt(0.99)},
                                    {"allocations", steps.AllocationsEach()}});
    }
  }
  Table executor({"executor's core: step", "machines", "p50 µs", "p99 µs", "allocations"}, options.markdown);
  for (const int machines : Machines(options)) {
    fmt::print(stderr, "   {} machines\n", machines);
    for (const auto& steps : MeasureExecutorCore(machines, options.samples)) {
      executor.Add({steps.name(), std::to_string(machines), number(steps.MicrosAt(0.5)), number(steps.MicrosAt(0.99)),
                    fmt::format("{:.1f}", steps.AllocationsEach())});
      json["executor"].push_back({{"step", steps.name()},
                                  {"machines", machines},
                                  {"p50_us", steps.MicrosAt(0.5)},
                                  {"p99_us", steps.MicrosAt(0.99)},
                                  {"allocations", steps.AllocationsEach()}});
    }
  }
  if (options.json) {
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print("{}\n{}\n{}", dispatcher.Text(), executor.Text(), BoundsText(bounds, options.markdown));
  }
  return options.strict && !AllHeld(bounds) ? 1 : 0;
}

}  // namespace hearth::bench
