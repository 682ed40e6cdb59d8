// hearth: the command line for people who deploy and invoke functions.
#include <algorithm>

#include "tools/hearth/command_line.h"

int main(int argc, char** argv) {
  using namespace hearth::tool;
  CommandLine line;
  const Asked asked = line.Parse({argv + std::min(argc, 1), argv + argc});
  if (asked.run) return asked.run();
  Write(asked.exit_code == kFine ? stdout : stderr, asked.text);
  return asked.exit_code;
}
