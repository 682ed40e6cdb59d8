#include "common/log/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include "common/base/text.h"

namespace hearth {
namespace {

// The message, whatever others have written into it, as one line without control characters.
class OneLine : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    const std::string shown = EscapeControls({message.payload.data(), message.payload.size()});
    out.append(shown.data(), shown.data() + shown.size());
  }
  [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<OneLine>(); }
};

}  // namespace

Result<Logger> MakeLogger(const std::string& name, const std::string& level) {
  auto made = MakeLogger(name, level, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  return made;
}

Result<Logger> MakeLogger(const std::string& name, const std::string& level, spdlog::sink_ptr sink) {
  const auto parsed = spdlog::level::from_str(level);
  if (parsed == spdlog::level::off && level != "off") {
    return Fail(Code::kInvalid, "log level '" + level + "': expected trace, debug, info, warn, error or off");
  }
  auto logger = std::make_shared<spdlog::logger>(name, std::move(sink));
  logger->set_level(parsed);
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<OneLine>('*').set_pattern("%Y-%m-%dT%H:%M:%S.%f%z %l %n %*");
  logger->set_formatter(std::move(formatter));
  logger->flush_on(spdlog::level::info);
  return logger;
}

}  // namespace hearth
