// Byte code for a function's Python files, so that a container need not compile them when it starts.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.h"
#include "tools/code/archive.h"

namespace hearth::tool {

// Of the image's minor version, whose byte code is the only one that its interpreter takes (any other it ignores).
constexpr const char* kPython = "python3.11";
constexpr const char* kPythonTag = "cpython-311";  // in the names of its byte code

// Compiles the .py files and returns the files to put beside them, where the interpreter looks for them. It takes them
// as they are: an archive's files never change. What does not compile is told on stderr and left out. Compiling runs
// nothing of the code. kUnavailable: kPython is not installed, or cannot do it here.
Result<std::vector<CodeFile>> CompilePython(const std::vector<CodeFile>& files);

}  // namespace hearth::tool
