// Logging: one spdlog logger to standard error, one line per state change, the same keys in the same order. A line is
// one line: control characters in what others have written are escaped (EscapeControls). A value that others chose
// freely goes through Quoted, so that it cannot look like further keys.
#pragma once

#include <memory>
#include <string>

#include <spdlog/spdlog.h>

#include "common/base/result.h"

namespace hearth {

using Logger = std::shared_ptr<spdlog::logger>;

// `level`: trace, debug, info, warn, error or off. Thread-safe afterwards.
Result<Logger> MakeLogger(const std::string& name, const std::string& level);
Result<Logger> MakeLogger(const std::string& name, const std::string& level, spdlog::sink_ptr sink);

}  // namespace hearth
