// What somebody can do about an error: each text is a line or a few, without a newline at the end; empty where there is
// nothing to say. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "schemas/runtime.h"
#include "tools/code/archive.h"
#include "tools/hearth/context.h"

namespace hearth::tool {

std::string KafkaWayOut(const Context& context, const Error& error);
std::string RedisWayOut(const Context& context, const Error& error);

// A function as far as it matters to somebody who mistyped its name.
struct KnownFunction {
  std::string user;
  std::string name;
};
// Which functions the user has, the nearest name, who else has one of that name, and how to deploy it.
std::string FunctionWayOut(const Setting& user, std::string_view name, const std::vector<KnownFunction>& known);

// Whether the code has what its handler names. kNotFound: it has not; the message says what it has and what may have
// been meant. kInvalid: a program that cannot be executed.
Result<void> CheckHandler(Runtime runtime, const std::string& handler, const std::vector<CodeFile>& files);
// What is odd about it, for a warning: a module that seems not to have the function, a
// program that is not static. Empty: nothing.
std::string DoubtAboutHandler(Runtime runtime, const std::string& handler, const std::vector<CodeFile>& files);

}  // namespace hearth::tool
