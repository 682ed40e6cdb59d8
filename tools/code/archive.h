// The code of a function as one archive: ustar, the same bytes for the same files, so that its hash names it.
#pragma once

#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace hearth::tool {

constexpr const char* kByteCodeFolder = "__pycache__";  // where the interpreter looks for it

struct CodeFile {
  std::string name;  // its path in the archive
  std::string content;
  bool executable = false;
};

// A folder's files by their relative paths; a single file by its name. Regular files only, and none of a __pycache__;
// kExhausted above kMaxCodeBytes.
Result<std::vector<CodeFile>> ReadCode(const std::string& path);

// kExhausted above kMaxCodeBytes, kMaxCodeEntries or kMaxCodePathParts; kInvalid: a path too long for ustar.
Result<std::string> PackCode(std::vector<CodeFile> files);

// Puts the archive into the code store under its user and hash, whole or not at all. Returns the hash.
Result<CodeHash> StoreCode(const std::string& store, const UserId& user, const std::string& archive);

}  // namespace hearth::tool
