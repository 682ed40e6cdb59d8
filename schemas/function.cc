#include "schemas/function.h"

#include "schemas/codec.h"
#include "schemas/describe.h"
#include "schemas/request.h"

namespace hearth {
namespace {

constexpr std::int32_t kFormatVersion = 1;
constexpr std::size_t kHashDigits = 64;

}  // namespace

struct VersionedFunction {
  std::int32_t v = kFormatVersion;
  Function function;
};
template <class A>
void Describe(A& a, VersionedFunction& m) {
  a("v", m.v);
  Describe(a, m.function);
}

std::string FunctionKey(const UserId& user, const FunctionName& name) {
  return user.str() + "/" + name.str();
}

std::string CodePath(const UserId& user, const CodeHash& code) {
  return "u-" + user.str() + "/" + code.str();  // no user's folder is "." or ".."
}

std::string EncodeFunction(const Function& function) {
  std::string bytes;
  codec::Encode<codec::Layout::kMap>(bytes, VersionedFunction{kFormatVersion, function});
  return bytes;
}

Result<Function> DecodeFunction(std::string_view bytes) {
  auto decoded = codec::Decode<codec::Layout::kMap, VersionedFunction>(bytes);
  if (!decoded) return FailWith("function", decoded.error());
  if (decoded->v > kFormatVersion)
    return Fail(Code::kInvalid, "function: written by a newer hearth (v " + std::to_string(decoded->v) + ")");
  if (auto valid = ValidateFunction(decoded->function); !valid) return std::unexpected(valid.error());
  return std::move(decoded->function);
}

Result<Function> DecodeFunctionRecord(std::string_view key, std::string_view value) {
  auto function = DecodeFunction(value);
  if (function && FunctionKey(function->user, function->name) != key) {
    return Fail(Code::kInvalid, "function: the record's key names another one");
  }
  return function;
}

Result<void> ValidateFunction(const Function& function) {
  const auto wrong = [](const std::string& what) { return Fail(Code::kInvalid, "function: " + what); };
  const auto outside = [](std::int64_t value, std::int64_t least, std::int64_t most) {
    return value < least || value > most;
  };
  if (!IsIdentifier(function.user.value)) return wrong("user must be 1 to 128 of [A-Za-z0-9._-]");
  if (!IsIdentifier(function.name.value)) return wrong("name must be 1 to 128 of [A-Za-z0-9._-]");
  if (!IsIdentifier(function.profile)) return wrong("profile must be 1 to 128 of [A-Za-z0-9._-]");
  if (function.version <= 0) return wrong("version must be positive");
  if (function.code.value.size() != kHashDigits ||
      function.code.value.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return wrong("code must be a SHA-256 in lower-case hex");
  }
  if (outside(function.code_bytes, 1, static_cast<std::int64_t>(kMaxCodeBytes))) {
    return wrong("code_bytes must be from 1 to " + std::to_string(kMaxCodeBytes));
  }
  if (function.handler.empty() || function.handler.size() > kMaxIdentifierBytes ||
      function.handler.find('\0') != std::string::npos || function.handler.starts_with('/') ||
      function.handler.find("..") != std::string::npos) {
    return wrong("handler must be 1 to 128 bytes, relative, without '..'");
  }
  if (const RuntimeRow& runtime = RowOf(function.runtime);
      runtime.dotted_handler && function.handler.find('.') == std::string::npos) {
    return wrong("handler of a " + std::string(runtime.name) + " function must be " +
                 std::string(runtime.handler_help));
  }
  if (outside(function.memory_mib, kMinMemoryMib, kMaxMemoryMib)) {
    return wrong("memory_mib must be from " + std::to_string(kMinMemoryMib) + " to " + std::to_string(kMaxMemoryMib));
  }
  if (outside(function.timeout_ms, 1, kMaxTimeoutMs))
    return wrong("timeout_ms must be from 1 to " + std::to_string(kMaxTimeoutMs));
  if (outside(function.max_attempts, 1, kMaxAttempts))
    return wrong("max_attempts must be from 1 to " + std::to_string(kMaxAttempts));
  if (function.max_age_ms < 1) return wrong("max_age_ms must be positive");
  if (function.concurrency < 0) return wrong("concurrency must not be negative");
  if (outside(function.container_idle_s, 0, kMaxContainerIdleS))
    return wrong("container_idle_s must be from 0 to " + std::to_string(kMaxContainerIdleS));
  std::size_t bytes = 0;
  for (const auto& [name, value] : function.environment) {
    bytes += name.size() + value.size();
    if (name.empty() || name.find('=') != std::string::npos || name.find('\0') != std::string::npos ||
        value.find('\0') != std::string::npos) {
      return wrong("environment names must not be empty or hold '=', and nothing may hold a NUL");
    }
  }
  if (bytes > kMaxEnvironmentBytes)
    return wrong("environment has more than " + std::to_string(kMaxEnvironmentBytes) + " bytes");
  return {};
}

}  // namespace hearth
