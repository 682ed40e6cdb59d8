#include "executor/machines/network.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

namespace hearth::executor {
namespace {

namespace fs = std::filesystem;

// A process of another account hides its namespace; its interfaces can be read all the same.
std::string Namespace(const fs::path& process) {
  std::error_code hidden;
  return fs::read_symlink(process / "ns/net", hidden).string();
}

}  // namespace

std::string NetworkFault(pid_t process) {
  const fs::path folder = fmt::format("/proc/{}", process);
  const std::string theirs = Namespace(folder);
  if (!theirs.empty() && theirs == Namespace("/proc/self"))
    return "the processes of machines share the executor's network";
  std::ifstream table(folder / "net/dev");
  if (!table) return fmt::format("the network of process {} cannot be looked at", process);
  std::vector<std::string> interfaces;
  for (std::string line; std::getline(table, line);) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;  // the table's head
    const std::string name = line.substr(line.find_first_not_of(' '), colon - line.find_first_not_of(' '));
    if (name != "lo") interfaces.push_back(name);
  }
  if (interfaces.empty()) return "";
  return fmt::format("the processes of machines have the interfaces {}", fmt::join(interfaces, ", "));
}

}  // namespace hearth::executor
