// Writes the golden bytes of the present format into a folder: schemas_golden FOLDER.
#include <cstdio>
#include <fstream>

#include "samples.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: schemas_golden FOLDER\n");
    return 2;
  }
  for (const auto& [name, bytes] : hearth::samples::Golden()) {
    std::ofstream file(std::string(argv[1]) + "/" + name, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) {
      std::fprintf(stderr, "cannot write %s/%s\n", argv[1], name.c_str());
      return 1;
    }
  }
  return 0;
}
