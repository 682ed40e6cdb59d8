#include "tools/hearth/nearest.h"

#include <algorithm>

namespace hearth::tool {
namespace {

constexpr std::size_t kMaxComparedBytes = 64;  // longer words are not mistyped names

// A third of the letters may be wrong, and always one.
std::size_t Tolerance(std::string_view word) {
  return std::max<std::size_t>(1, (word.size() + 1) / 3);
}

}  // namespace

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({change, last[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::string Nearest(std::string_view word, const std::vector<std::string>& known) {
  if (word.size() > kMaxComparedBytes) return "";
  std::string nearest;
  std::size_t least = Tolerance(word) + 1;
  for (const auto& each : known) {
    if (each.size() > kMaxComparedBytes) continue;
    const std::size_t distance = EditDistance(word, each);
    if (distance >= least || distance >= each.size()) continue;
    least = distance;
    nearest = each;
  }
  return nearest;
}

std::string DidYouMean(std::string_view word, const std::vector<std::string>& known) {
  const std::string nearest = Nearest(word, known);
  return nearest.empty() ? "" : "; did you mean " + nearest + "?";
}

}  // namespace hearth::tool
