// Holds what the programs are hardened with (tools/cmake/hearth.cmake): the ELF files say how they were linked, the
// compile commands how each source was compiled.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "tests/unit/hardening/elf_facts.h"

namespace hearth::tests {
namespace {

const std::string kBin = std::string(HEARTH_BIN) + "/";

std::vector<std::string> Programs() {
  std::istringstream names(HEARTH_PROGRAMS);
  return {std::istream_iterator<std::string>(names), {}};
}

// What a program lacks.
std::vector<std::string> Missing(const ElfFacts& facts) {
  std::vector<std::string> missing;
  if (!facts.position_independent) missing.emplace_back("PIE");
  if (!facts.relro) missing.emplace_back("RELRO");
  if (!facts.bind_now) missing.emplace_back("BIND_NOW");
  if (facts.executable_stack) missing.emplace_back("a stack that is not executable");
  if (facts.writable_code) missing.emplace_back("code that is not writable");
  return missing;
}

bool HasFortifiedCalls(const ElfFacts& facts) {
  return std::ranges::any_of(facts.imports,
                             [](const auto& name) { return name.starts_with("__") && name.ends_with("_chk"); });
}

TEST(Hardening, EveryProgramIsLinkedWithIt) {
  for (const auto& name : Programs()) EXPECT_EQ(Missing(ReadElf(kBin + name)), std::vector<std::string>()) << name;
}

TEST(Hardening, StacksAndFortifiedCallsAreCheckedInTheDaemonsAndTheCommandLine) {
  for (const std::string name : {"hearth", "hearth-dispatcher", "hearth-executor"}) {
    const auto facts = ReadElf(kBin + name);
    EXPECT_TRUE(facts.imports.contains("__stack_chk_fail")) << name;
    EXPECT_TRUE(HasFortifiedCalls(facts)) << name;
  }
}

TEST(Hardening, AProgramWithoutItIsFoundOutOnEveryCount) {
  const auto facts = ReadElf(kBin + "hardening_soft");
  EXPECT_EQ(Missing(facts), (std::vector<std::string>{"PIE", "RELRO", "BIND_NOW", "a stack that is not executable"}));
  EXPECT_FALSE(facts.imports.contains("__stack_chk_fail"));
  EXPECT_FALSE(HasFortifiedCalls(facts));
}

// The agent is static: what its own sources call does not show among its symbols.
TEST(Hardening, EverySourceIsCompiledWithIt) {
  const std::string source_dir = HEARTH_SOURCE_DIR;
  std::ifstream commands(HEARTH_COMMANDS);
  int sources = 0;
  for (std::string line; std::getline(commands, line);) {
    if (line.find("\"command\":") == std::string::npos || line.find(source_dir + "/examples/") != std::string::npos)
      continue;
    if (line.find("/soft.cc") != std::string::npos) continue;
    ++sources;
    for (const std::string flag :
         {"-fPIE", "-fstack-protector-strong", "-fstack-clash-protection", "-D_FORTIFY_SOURCE=3"}) {
      EXPECT_NE(line.find(flag), std::string::npos) << flag << " is not in " << line;
    }
  }
  EXPECT_GT(sources, 100);
}

}  // namespace
}  // namespace hearth::tests
