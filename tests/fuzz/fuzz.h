// What the fuzz targets share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "schemas/record.h"
#include "tests/fuzz/cost.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace hearth::fuzz {

inline std::string_view View(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

inline void Must(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

// "name: value" lines, an empty line, the value: the form of the golden files, so that they serve as seeds.
inline Record ParseRecord(std::string_view text) {
  Record record;
  record.partition.topic = "t";
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty()) break;
    const auto colon = line.find(": ");
    record.headers.push_back({std::string(line.substr(0, colon)),
                              colon == std::string_view::npos ? "" : std::string(line.substr(colon + 2))});
  }
  record.value = text;
  return record;
}

}  // namespace hearth::fuzz
