// How much slower a neighbour is answered while something else goes on, beside a raw echo of the same moments. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "tools/bench/histogram.h"

namespace hearth::bench {

// What the records met in one part of the run, counted from when they were due to be sent. Those without an answer
// count with the time that they have waited.
struct AnswerFigures {
  std::uint64_t sent = 0;
  std::uint64_t ok = 0;  // of the echo: all that came back
  std::uint64_t unanswered = 0;
  Histogram latency;
};
struct NeighbourFigures {
  AnswerFigures requests;
  AnswerFigures echoes;
};

// How much slower something was than before, and how much of that is not the machine's.
struct Slowdown {
  double requests = 0;   // during ÷ before
  double echoes = 0;     // the same of the raw echo
  double remaining = 0;  // requests ÷ echoes; 0: not known
};
// `share` of the answers, as of Histogram::At. Pure.
Slowdown SlowdownAt(double share, const NeighbourFigures& before, const NeighbourFigures& during);
// Rows for requests and echoes in both parts, and a line with the slowdowns. `phases`: what the parts are called. Pure.
std::string NeighbourText(const NeighbourFigures& before, const NeighbourFigures& during,
                          const std::pair<std::string, std::string>& phases, bool markdown);

}  // namespace hearth::bench
