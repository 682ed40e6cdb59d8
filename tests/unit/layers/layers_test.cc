// Holds the direction of includes: who may include whom among the folders of the tree (docs/architecture.md). A folder
// that is not in the table fails too, so that the table stays whole.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

struct Layer {
  std::string_view folder;
  std::vector<std::string_view> may_include;  // its own folder is always allowed
};

// The most specific folder comes first. The parts of a daemon that decide (core) know no adapter.
const std::vector<Layer>& Layers() {
  static const std::vector<Layer> layers = {
      {"common/base", {}},
      {"common", {"common/base", "schemas"}},
      {"schemas", {"common/base"}},
      {"dispatcher/core", {"common/base", "schemas"}},
      {"dispatcher", {"common", "common/base", "schemas", "dispatcher/core"}},
      {"executor/core", {"common/base", "schemas"}},
      {"executor", {"common", "common/base", "schemas", "executor/core"}},
      {"guest", {"common/base", "schemas"}},
      // Benches measure the executor's parts beside the same done by hand, and both cores alone.
      {"tools/bench", {"common", "common/base", "schemas", "dispatcher/core", "executor", "executor/core", "tools"}},
      {"tools", {"common", "common/base", "schemas"}},
  };
  return layers;
}

const Layer* LayerOf(std::string_view path) {
  for (const auto& layer : Layers()) {
    if (path.starts_with(layer.folder) && path.substr(layer.folder.size()).starts_with('/')) return &layer;
  }
  return nullptr;
}

// What is wrong with `path` (from the root of the tree) including `included`; empty where nothing is.
std::string Judge(std::string_view path, std::string_view included) {
  const Layer* from = LayerOf(path);
  const Layer* to = LayerOf(included);
  if (from == nullptr) return std::string(path) + " lies in a folder without a layer";
  if (to == nullptr) return std::string(path) + " includes " + std::string(included) + ", which is in no layer";
  if (from == to || std::ranges::find(from->may_include, to->folder) != from->may_include.end()) return "";
  return std::string(path) + " must not include " + std::string(included);
}

// The names in the lines #include "…" of a file.
std::vector<std::string> Includes(const fs::path& file) {
  constexpr std::string_view kStart = "#include \"";
  std::vector<std::string> names;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(kStart)) continue;
    const auto end = line.find('"', kStart.size());
    if (end != std::string::npos) names.push_back(line.substr(kStart.size(), end - kStart.size()));
  }
  return names;
}

TEST(Layers, EveryIncludePointsDown) {
  const fs::path root = HEARTH_SOURCE_DIR;
  std::size_t seen = 0;
  for (const auto part : {"common", "schemas", "dispatcher", "executor", "guest", "tools"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / part)) {
      const auto extension = entry.path().extension();
      if (extension != ".h" && extension != ".cc") continue;
      const auto path = fs::relative(entry.path(), root).generic_string();
      for (const auto& included : Includes(entry.path())) {
        ++seen;
        EXPECT_EQ(Judge(path, included), "");
      }
    }
  }
  EXPECT_GT(seen, 100u) << "the tree was not found in " << root;
}

TEST(Layers, WrongDirectionsAreSeen) {
  EXPECT_NE(Judge("dispatcher/app.cc", "executor/core/core.h"), "");
  EXPECT_NE(Judge("executor/app.cc", "guest/agent/agent.h"), "");
  EXPECT_NE(Judge("guest/agent/main.cc", "common/loop/loop.h"), "");
  EXPECT_NE(Judge("dispatcher/core/core.cc", "common/kafka/consumer.h"), "");
  EXPECT_NE(Judge("executor/core/core.cc", "executor/app.h"), "");
  EXPECT_NE(Judge("common/base/result.h", "schemas/request.h"), "");
  EXPECT_NE(Judge("schemas/request.cc", "common/kafka/producer.h"), "");
  EXPECT_NE(Judge("elsewhere/file.cc", "common/base/result.h"), "");
  EXPECT_NE(Judge("tools/hearth/main.cc", "neighbour.h"), "");
  EXPECT_NE(Judge("tools/hearth/main.cc", "executor/app.h"), "");
  EXPECT_NE(Judge("executor/app.cc", "tools/bench/figures.h"), "");
  EXPECT_EQ(Judge("dispatcher/app.cc", "common/kafka/consumer.h"), "");
}

}  // namespace
