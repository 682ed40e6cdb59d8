#include "common/config/reference.h"

#include <fmt/format.h>

#include <algorithm>

namespace hearth {
namespace {

std::string Heading(const std::string& table) {
  return table.empty() ? "### At the top" : fmt::format("### `[{}]`", table);
}

// In a cell of a table.
std::string Cell(std::string_view text) {
  std::string cell;
  for (const char c : text) cell += c == '|' ? std::string("\\|") : std::string(1, c);
  return cell;
}

}  // namespace

std::string ReferenceText(const ConfigReference& reference, std::string_view program, std::string_view example) {
  std::string text = fmt::format("## {}\n", program);
  std::vector<std::string> tables;
  for (const auto& one : reference.keys) {
    if (std::ranges::find(tables, one.table) == tables.end()) tables.push_back(one.table);
  }
  for (const auto& table : tables) {
    text += fmt::format("\n{}\n\n| key | type | default | values | meaning |\n| --- | --- | --- | --- | --- |\n",
                        Heading(table));
    for (const auto& one : reference.keys) {
      if (one.table != table) continue;
      text += fmt::format("| `{}` | {} | {} | {} | {} |\n", one.key, one.type, Cell(one.fallback), Cell(one.range),
                          Cell(one.about));
    }
  }
  return text + fmt::format("\n### An example\n\n```toml\n{}```\n", example);
}

}  // namespace hearth
