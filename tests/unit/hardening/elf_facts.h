// What the ELF headers of a program say of how it was linked (elf(5)).
#pragma once

#include <set>
#include <string>

namespace hearth::tests {

struct ElfFacts {
  bool position_independent = false;
  bool relro = false;             // a segment that is read-only after relocation
  bool bind_now = false;          // so that all of it is: nothing is bound later
  bool executable_stack = true;   // what the kernel takes where the program does not say
  bool writable_code = false;     // a segment that may be written and run
  std::set<std::string> imports;  // names that the program takes from libraries
};

// Aborts where `path` is not a 64-bit ELF file.
ElfFacts ReadElf(const std::string& path);

}  // namespace hearth::tests
