#include "common/log/log.h"

#include <spdlog/sinks/stdout_sinks.h>

namespace hearth {

Result<Logger> MakeLogger(const std::string& name, const std::string& level) {
  const auto parsed = spdlog::level::from_str(level);
  if (parsed == spdlog::level::off && level != "off") {
    return Fail(Code::kInvalid, "log level '" + level + "': expected trace, debug, info, warn, error or off");
  }
  auto logger = std::make_shared<spdlog::logger>(name, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(parsed);
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%f%z %l %n %v");
  logger->flush_on(spdlog::level::info);
  return logger;
}

}  // namespace hearth
