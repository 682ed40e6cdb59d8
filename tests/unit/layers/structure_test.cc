// Holds what docs/architecture.md promises of the tree: the way of a warm invocation can be read in a few files, and no
// file of the cores is long.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFilesOfTheWay = 40;
constexpr std::size_t kMostLinesOfACore = 300;

std::vector<std::string> Lines(const fs::path& file) {
  std::vector<std::string> lines;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// Everything in backticks in the list under the heading.
std::vector<std::string> FilesUnder(const std::string& heading) {
  std::vector<std::string> files;
  bool inside = false;
  for (const auto& line : Lines(fs::path(HEARTH_SOURCE_DIR) / "docs/architecture.md")) {
    if (line.starts_with("## ")) inside = line == heading;
    if (!inside) continue;
    for (std::size_t at = line.find('`'); at != std::string::npos;) {
      const auto end = line.find('`', at + 1);
      if (end == std::string::npos) break;
      files.push_back(line.substr(at + 1, end - at - 1));
      at = line.find('`', end + 1);
    }
  }
  return files;
}

TEST(Structure, TheWayOfAWarmInvocationIsReadInAFewFiles) {
  const auto files = FilesUnder("## The files of one warm invocation");
  EXPECT_GE(files.size(), 20U) << "the list is not where it is looked for";
  EXPECT_LE(files.size(), kMostFilesOfTheWay);
  std::set<std::string> seen;
  for (const auto& file : files) {
    EXPECT_TRUE(fs::is_regular_file(fs::path(HEARTH_SOURCE_DIR) / file)) << file;
    EXPECT_TRUE(seen.insert(file).second) << file << " is opened twice";
  }
}

TEST(Structure, NoFileOfTheCoresIsLong) {
  for (const auto* core : {"dispatcher/core", "executor/core"}) {
    for (const auto& entry : fs::directory_iterator(fs::path(HEARTH_SOURCE_DIR) / core)) {
      EXPECT_LE(Lines(entry.path()).size(), kMostLinesOfACore) << entry.path();
    }
  }
}

}  // namespace
