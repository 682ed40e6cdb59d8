// From the command line that libvirt gave to QEMU, the one for the same machine started by hand. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace hearth::bench {

// `log` is libvirt's log of the domain (…/log/qemu/<name>.log); its last start counts. What belongs to libvirt goes:
// its monitor and secret, the descriptors that it handed over, waiting for its word (-S), and the move to the
// background. The guest link leads to `socket`. All that shapes the machine stays. kInvalid: no start is in the log.
Result<std::vector<std::string>> HandArguments(std::string_view log, const std::string& socket);

}  // namespace hearth::bench
