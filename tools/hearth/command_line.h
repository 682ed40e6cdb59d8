// The whole command line: options, commands and help. It can be taken apart without anything being run.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tools/hearth/context.h"

namespace hearth::tool {

// What a line asks for: a command to run, or a text and how the process ends with it.
struct Asked {
  Command run;
  std::string text;
  int exit_code = kFine;
};

class CommandLine {
 public:
  CommandLine();
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  // Once. `words` are without the program's name.
  Asked Parse(const std::vector<std::string>& words);
  [[nodiscard]] const CLI::App& app() const { return *app_; }

 private:
  Context context_;
  Command chosen_;
  std::unique_ptr<CLI::App> app_;
};

}  // namespace hearth::tool
