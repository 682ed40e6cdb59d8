// Expected failures as values: Result<T> is a T or an Error with a code and a message.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace hearth {

// What a caller can do about a failure.
enum class Code {
  kInvalid,      // the input is wrong; trying again does not help
  kNotFound,     // the named thing does not exist
  kExhausted,    // a named limit was passed
  kUnavailable,  // a peer or resource is away; trying again may help
  kDeadline,     // the time allowed has passed
  kCancelled,    // given up because we asked for it
  kInternal,     // a fault of ours or of a library
};

constexpr std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kInvalid: return "invalid";
    case Code::kNotFound: return "not_found";
    case Code::kExhausted: return "exhausted";
    case Code::kUnavailable: return "unavailable";
    case Code::kDeadline: return "deadline";
    case Code::kCancelled: return "cancelled";
    case Code::kInternal: return "internal";
  }
  return "unknown";
}

struct Error {
  Code code = Code::kInternal;
  std::string message;
};

template <class T = void>
using Result = std::expected<T, Error>;

// Makes the failed side of any Result: `return Fail(Code::kInvalid, "…");`.
[[nodiscard]] inline std::unexpected<Error> Fail(Code code, std::string message) {
  return std::unexpected<Error>(Error{code, std::move(message)});
}

// Hands an Error on, with the object it concerns put before it.
[[nodiscard]] inline std::unexpected<Error> FailWith(std::string_view context, Error error) {
  error.message = std::string(context) + ": " + error.message;
  return std::unexpected<Error>(std::move(error));
}

}  // namespace hearth
