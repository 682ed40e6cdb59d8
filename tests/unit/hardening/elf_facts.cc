#include "tests/unit/hardening/elf_facts.h"

#include <elf.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>

namespace hearth::tests {
namespace {

class Image {
 public:
  explicit Image(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(in), {});
    if (bytes_.size() < sizeof(Elf64_Ehdr) || std::memcmp(bytes_.data(), ELFMAG, SELFMAG) != 0 ||
        bytes_[EI_CLASS] != ELFCLASS64) {
      std::cerr << path << " is not a 64-bit ELF file\n";
      std::abort();
    }
  }

  template <typename T>
  T At(std::size_t offset) const {
    T value{};
    if (offset + sizeof(T) <= bytes_.size()) std::memcpy(&value, bytes_.data() + offset, sizeof(T));
    return value;
  }

  std::string Text(std::size_t offset) const {
    return offset < bytes_.size() ? std::string(bytes_.c_str() + offset) : std::string();
  }

 private:
  std::string bytes_;
};

void ReadDynamic(const Image& image, const Elf64_Phdr& segment, ElfFacts& facts) {
  for (std::size_t at = 0; at < segment.p_filesz; at += sizeof(Elf64_Dyn)) {
    const auto entry = image.At<Elf64_Dyn>(segment.p_offset + at);
    if (entry.d_tag == DT_FLAGS && (entry.d_un.d_val & DF_BIND_NOW) != 0) facts.bind_now = true;
    if (entry.d_tag == DT_FLAGS_1 && (entry.d_un.d_val & DF_1_NOW) != 0) facts.bind_now = true;
    if (entry.d_tag == DT_FLAGS_1 && (entry.d_un.d_val & DF_1_PIE) != 0) facts.position_independent = true;
  }
}

void ReadImports(const Image& image, const Elf64_Ehdr& header, ElfFacts& facts) {
  for (std::size_t n = 0; n < header.e_shnum; ++n) {
    const auto section = image.At<Elf64_Shdr>(header.e_shoff + n * header.e_shentsize);
    if (section.sh_type != SHT_DYNSYM) continue;
    const auto names = image.At<Elf64_Shdr>(header.e_shoff + std::size_t{section.sh_link} * header.e_shentsize);
    for (std::size_t at = 0; at < section.sh_size; at += sizeof(Elf64_Sym)) {
      const auto symbol = image.At<Elf64_Sym>(section.sh_offset + at);
      if (symbol.st_shndx == SHN_UNDEF) facts.imports.insert(image.Text(names.sh_offset + symbol.st_name));
    }
  }
}

}  // namespace

ElfFacts ReadElf(const std::string& path) {
  const Image image(path);
  const auto header = image.At<Elf64_Ehdr>(0);
  ElfFacts facts;
  for (std::size_t n = 0; n < header.e_phnum; ++n) {
    const auto segment = image.At<Elf64_Phdr>(header.e_phoff + n * header.e_phentsize);
    if (segment.p_type == PT_GNU_RELRO) facts.relro = true;
    if (segment.p_type == PT_GNU_STACK) facts.executable_stack = (segment.p_flags & PF_X) != 0;
    if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0 && (segment.p_flags & PF_W) != 0)
      facts.writable_code = true;
    if (segment.p_type == PT_DYNAMIC) ReadDynamic(image, segment, facts);
  }
  ReadImports(image, header, facts);
  return facts;
}

}  // namespace hearth::tests
