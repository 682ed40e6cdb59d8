// The image that machines start from: the folder made by `tools/dev image`, checked against its manifest.
#pragma once

#include <set>
#include <string>

#include "common/base/result.h"
#include "executor/machines/domain_xml.h"
#include "schemas/function.h"

namespace hearth::executor {

struct MachineImage {
  std::string hash;    // SHA-256 of the manifest, which holds the hashes of the parts
  std::string kernel;  // absolute paths
  std::string initrd;
  std::string root_image;
  std::string cmdline_tcg;
  std::string cmdline_kvm;
  std::set<Runtime> runtimes;  // that every machine of it must have proved when it says HELLO

  [[nodiscard]] const std::string& cmdline(Acceleration acceleration) const {
    return acceleration == Acceleration::kKvm ? cmdline_kvm : cmdline_tcg;
  }
};

// Reads the manifest and verifies the hash of each part (blocks: some hundred megabytes are read). kNotFound: no
// manifest; kInvalid: it is not one, or a part does not match.
Result<MachineImage> LoadImage(const std::string& folder);

// True where an account without any rights of its own can read `path`.
bool ReadableByAll(const std::string& path);

// Where QEMU runs under accounts of its own it must be able to read the image. Returns `image` where it can, else a
// copy of it in `folder`, which must be reachable. Blocks.
Result<MachineImage> StageImage(const MachineImage& image, const std::string& folder);

}  // namespace hearth::executor
