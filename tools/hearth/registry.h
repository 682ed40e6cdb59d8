// The functions that exist, read from Kafka as they are now.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "schemas/function.h"
#include "tools/hearth/context.h"
#include "tools/hearth/ways_out.h"

namespace hearth::tool {

// By key. kUnavailable: Kafka is away; kNotFound: the registry's topic is not there.
Result<std::map<std::string, Function>> ReadFunctions(const Context& context);
std::vector<KnownFunction> NamesOf(const std::map<std::string, Function>& functions);

}  // namespace hearth::tool
