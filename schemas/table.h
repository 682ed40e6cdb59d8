// Enumerations whose values have names. Each has one table: what travels, what people read and what they may write
// derive from its rows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace hearth {

// Whether row i is that of the value i, so that a table can be indexed by its enumeration. For a static_assert.
template <class Row, std::size_t kCount, class Value>
constexpr bool RowsInOrder(const std::array<Row, kCount>& table, Value Row::* value) {
  for (std::size_t i = 0; i < kCount; ++i) {
    if (static_cast<std::size_t>(table[i].*value) != i) return false;
  }
  return true;
}

// For people: "python3 or native".
template <class Row, std::size_t kCount>
std::string Names(const std::array<Row, kCount>& table) {
  std::string names;
  for (const Row& row : table) {
    names.append(names.empty() ? "" : &row == &table.back() ? " or " : ", ").append(row.name);
  }
  return names;
}

// The row with that name. The error says what there is: "runtime 'cobol': expected python3 or native".
template <class Row, std::size_t kCount>
Result<const Row*> FindByName(const std::array<Row, kCount>& table, std::string_view what, std::string_view name) {
  for (const Row& row : table) {
    if (row.name == name) return &row;
  }
  return Fail(Code::kInvalid, std::string(what) + " '" + std::string(name) + "': expected " + Names(table));
}

}  // namespace hearth
