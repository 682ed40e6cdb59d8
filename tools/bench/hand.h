// A machine driven by hand, frame by frame, as an executor drives its own: the floor of the start paths.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "tools/code/archive.h"
#include "tools/machine/machine.h"

namespace hearth::bench {

// A function that does nothing, as an archive.
struct Noop {
  Runtime runtime = Runtime::kPython3;
  std::string handler;
  std::string archive;
  CodeHash hash;
};
// The files of such functions, as `hearth deploy` would pack them.
struct NoopFiles {
  std::vector<tool::CodeFile> python, native;
};
// `python`: a folder with noop.py; `native`: a static executable.
Result<NoopFiles> ReadNoop(const std::string& python, const std::string& native);
// `marker` makes archives differ; with `bytes` the archive is filled up to that size.
Result<Noop> MakeNoop(const NoopFiles& files, Runtime runtime, const std::string& marker, std::size_t bytes = 0);

// From the order to each step of a first instruction, µs of this host.
struct FirstSteps {
  std::int64_t stored_us = 0;   // the code is in the machine
  std::int64_t created_us = 0;  // the container is made
  std::int64_t first_us = 0;    // first instruction of the code
};

// Blocks; keeps no container. The machine must outlive it.
class Hand {
 public:
  explicit Hand(guest::Machine& machine) : machine_(machine) {}

  // A round trip of the smallest frame, µs.
  Result<std::int64_t> Ping();
  Result<void> Configure();
  // Code sent unless the machine has it, container made, run. The container is removed afterwards. The machine must be
  // configured.
  Result<FirstSteps> FirstInstruction(const Noop& code);

 private:
  guest::Machine& machine_;
  std::set<std::string> stored_;
  std::uint64_t pings_ = 0;
  std::uint32_t containers_ = 0;
};

}  // namespace hearth::bench
