// What a configuration file may say, as the code that reads it notes it, and as docs/configuration.md shows it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hearth {

struct KeyReference {
  std::string table;  // "kafka", "[profile]" for an array of tables, or empty at the top
  std::string key;    // without its table
  std::string type;
  std::string fallback;
  std::string range;  // empty: any
  std::string about;
};

struct ConfigReference {
  std::vector<KeyReference> keys;  // in the order in which they are read
};

// A chapter in Markdown: a table of keys for each table of the file, and the example.
std::string ReferenceText(const ConfigReference& reference, std::string_view program, std::string_view example);

}  // namespace hearth
