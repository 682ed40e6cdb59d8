#include "schemas/result.h"

namespace hearth {

Result<Status> ParseStatus(std::string_view name) {
  const auto row = FindByName(kStatuses, "status", name);
  if (!row) return std::unexpected(row.error());
  return (*row)->status;
}

bool Answers(const InvocationResult& result, const Request& request) {
  return result.id == request.id && result.user == request.user && result.function == request.function;
}

}  // namespace hearth
