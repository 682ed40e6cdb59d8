#include "schemas/result.h"

#include <array>

namespace hearth {
namespace {

constexpr std::array<std::string_view, 8> kStatusNames = {"ok",      "error",    "timeout", "oom",
                                                          "expired", "rejected", "poison",  "cancelled"};
constexpr std::array<std::string_view, 7> kPathNames = {"none", "container", "cached", "instance",
                                                        "pool", "restore",   "boot"};

}  // namespace

std::string_view StatusName(Status status) {
  return kStatusNames.at(static_cast<std::size_t>(status));
}
std::string_view StartPathName(StartPath path) {
  return kPathNames.at(static_cast<std::size_t>(path));
}

Result<Status> ParseStatus(std::string_view name) {
  for (std::size_t i = 0; i < kStatusNames.size(); ++i) {
    if (kStatusNames[i] == name) return static_cast<Status>(i);
  }
  return Fail(Code::kInvalid, "status '" + std::string(name) + "' is not known");
}

Result<StartPath> ParseStartPath(std::string_view name) {
  for (std::size_t i = 0; i < kPathNames.size(); ++i) {
    if (kPathNames[i] == name) return static_cast<StartPath>(i);
  }
  return Fail(Code::kInvalid, "start path '" + std::string(name) + "' is not known");
}

bool Answers(const InvocationResult& result, const Request& request) {
  return result.id == request.id && result.user == request.user && result.function == request.function;
}

}  // namespace hearth
