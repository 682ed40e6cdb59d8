// Logging: one spdlog logger to standard error, one line per state change, the same keys in the same order.
#pragma once

#include <memory>
#include <string>

#include <spdlog/spdlog.h>

#include "common/base/result.h"

namespace hearth {

using Logger = std::shared_ptr<spdlog::logger>;

// `level`: trace, debug, info, warn, error or off. Thread-safe afterwards.
Result<Logger> MakeLogger(const std::string& name, const std::string& level);

}  // namespace hearth
