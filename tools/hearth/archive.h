// The code of a function as one archive: ustar, the same bytes for the same files, so that its hash names it.
#pragma once

#include <string>

#include "common/base/result.h"

namespace hearth::tool {

// A folder's files keep their relative paths; a single file keeps its name. Only regular files and folders; kExhausted
// above kMaxCodeBytes.
Result<std::string> PackCode(const std::string& path);

// Puts the archive into the code store under its hash, whole or not at all. Returns the hash.
Result<std::string> StoreCode(const std::string& store, const std::string& archive);

}  // namespace hearth::tool
