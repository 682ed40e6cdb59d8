// The system calls that user code may make. All others answer EPERM, so that a function sees an error and not a kill;
// clone3 answers ENOSYS, for its flags lie in memory where a filter cannot look, and libc then falls back to clone.
#pragma once

#include <string>

#include "common/base/result.h"

namespace hearth::guest {

// The filter as a BPF program (an array of struct sock_filter), made once and installed in every container.
Result<std::string> BuildSeccompProgram();

// Installs it for the calling process; needs no-new-privileges. False: errno says why.
bool InstallSeccompProgram(const std::string& program);

}  // namespace hearth::guest
