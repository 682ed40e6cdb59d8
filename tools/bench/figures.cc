#include "tools/bench/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace hearth::bench {
namespace {

// Code points, not bytes: the tables hold arrows.
std::size_t Width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string Pad(const std::string& text, std::size_t width, bool right) {
  const std::string blanks(width - std::min(width, Width(text)), ' ');
  return right ? blanks + text : text + blanks;
}

}  // namespace

double Series::At(double share) const {
  if (values_.empty()) return 0;
  std::vector<std::int64_t> sorted = values_;
  std::sort(sorted.begin(), sorted.end());
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return static_cast<double>(sorted[std::min(std::max<std::size_t>(rank, 1), sorted.size()) - 1]) / 1000.0;
}

double MedianRatio(const Series& a, const Series& b) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (b.values()[i] > 0) ratios.push_back(static_cast<double>(a.values()[i]) / static_cast<double>(b.values()[i]));
  }
  if (ratios.empty()) return 0;
  std::sort(ratios.begin(), ratios.end());
  const std::size_t half = ratios.size() / 2;
  return ratios.size() % 2 == 1 ? ratios[half] : (ratios[half - 1] + ratios[half]) / 2;
}

void Table::Add(std::vector<std::string> cells) {
  cells.resize(std::max(cells.size(), rows_.front().size()));
  rows_.push_back(std::move(cells));
}

void Table::AddSeries(const std::string& name, const Series& series) {
  const auto ms = [&series](double share) {
    return series.size() == 0 ? "–" : fmt::format("{:.3f}", series.At(share));
  };
  Add({name, std::to_string(series.size()), ms(0), ms(0.5), ms(0.99)});
}

std::string Table::Text() const {
  std::vector<std::size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string text;
  for (std::size_t at = 0; at < rows_.size(); ++at) {
    std::string line = markdown_ ? "|" : "";
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const std::string cell = Pad(rows_[at][i], widths[i], i > 0);
      line += markdown_ ? " " + cell + " |" : (i > 0 ? "  " : "") + cell;
    }
    if (!markdown_) line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
    if (!markdown_ || at > 0) continue;
    text += "| --- |";
    for (std::size_t i = 1; i < widths.size(); ++i) text += " ---: |";
    text += "\n";
  }
  return text;
}

std::string BoundsText(const std::vector<Bound>& bounds, bool markdown) {
  Table table({"bound", "measured", "limit", "verdict"}, markdown);
  for (const auto& bound : bounds) {
    const std::string unit = bound.unit.empty() ? "" : " " + bound.unit;
    table.Add({bound.what, fmt::format("{:.2f}{}", bound.value, unit),
               fmt::format("{} {:g}{}", bound.at_least ? "≥" : "≤", bound.limit, unit),
               bound.held() ? "held" : "NOT held"});
  }
  return table.Text();
}

bool AllHeld(const std::vector<Bound>& bounds) {
  return std::ranges::all_of(bounds, [](const Bound& bound) { return bound.held(); });
}

}  // namespace hearth::bench
