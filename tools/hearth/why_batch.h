// What the batches of a user say of an id that hearth why was asked for. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/hearth/batch_list.h"
#include "tools/hearth/context.h"

namespace hearth::tool {

// Lines for people: the id is a batch's, or an item's that is not there, has not ended, or ran again. Empty: it is
// neither. `context` is that of the command, for the commands that they name.
std::vector<std::string> TellOfItem(const Context& context, const std::vector<ListedBatch>& batches,
                                    std::string_view id);

}  // namespace hearth::tool
