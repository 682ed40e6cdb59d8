#include "tools/bench/slowdown.h"

#include <fmt/format.h>

#include "tools/bench/figures.h"

namespace hearth::bench {

Slowdown SlowdownAt(double share, const NeighbourFigures& before, const NeighbourFigures& during) {
  const auto ratio = [](double above, double below) { return below > 0 ? above / below : 0; };
  Slowdown slowdown;
  slowdown.requests = ratio(during.requests.latency.At(share), before.requests.latency.At(share));
  slowdown.echoes = ratio(during.echoes.latency.At(share), before.echoes.latency.At(share));
  slowdown.remaining = ratio(slowdown.requests, slowdown.echoes);
  return slowdown;
}

std::string NeighbourText(const NeighbourFigures& before, const NeighbourFigures& during,
                          const std::pair<std::string, std::string>& phases, bool markdown) {
  Table table({"milliseconds", "sent", "ok", "unanswered", "p50", "p99", "max"}, markdown);
  const auto add = [&table](const std::string& name, const AnswerFigures& one) {
    const auto at = [&one](double share) { return fmt::format("{:.2f}", one.latency.At(share)); };
    table.Add({name, std::to_string(one.sent), std::to_string(one.ok), std::to_string(one.unanswered), at(0.5),
               at(0.99), at(1)});
  };
  add("the other user, " + phases.first, before.requests);
  add("the other user, " + phases.second, during.requests);
  add("raw Kafka echo, " + phases.first, before.echoes);
  add("raw Kafka echo, " + phases.second, during.echoes);
  std::string text = table.Text() + "\n";
  for (const auto& [name, share] : {std::pair("p50", 0.5), std::pair("p99", 0.99)}) {
    const auto slowdown = SlowdownAt(share, before, during);
    text += fmt::format("{}: the other user {:.2f} ×, raw echo {:.2f} ×, the one ÷ the other {:.2f}\n", name,
                        slowdown.requests, slowdown.echoes, slowdown.remaining);
  }
  return text;
}

}  // namespace hearth::bench
