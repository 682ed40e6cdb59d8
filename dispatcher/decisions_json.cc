#include "dispatcher/decisions_json.h"
#include "schemas/times_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace hearth::dispatcher {
namespace {

using Json = nlohmann::ordered_json;

std::string Write(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";  // errors of users need not be UTF-8
}

Json StepJson(const DecisionStep& step) {
  Json json = {{"what", step.what},
               {"at_us", step.wall_us},
               {"attempt", step.attempt},
               {"executor", step.executor.value},
               {"constraint", step.constraint}};
  if (step.what != "placed") return json;
  json["expected"] = StartPathName(step.expected);
  json["queue_us"] = step.queue_us;
  if (!step.held_by.empty()) json["held_by"] = step.held_by;
  json["executors"] = step.executors;
  json["looked_at"] = step.looked_at;
  json["fit"] = step.fit;
  json["candidates"] = Json::array();
  for (const auto& candidate : step.candidates) {
    Json one = {{"executor", candidate.executor.value}};
    if (!candidate.failed.empty()) one["failed"] = candidate.failed;
    one["path"] = StartPathName(candidate.path);
    one["rendezvous"] = fmt::format("{:016x}", candidate.rendezvous);
    one["held"] = candidate.held;
    one["free_credit"] = candidate.free_credit;
    json["candidates"].push_back(std::move(one));
  }
  return json;
}

}  // namespace

std::string DecisionJson(const Decision& decision, const DispatcherId& self) {
  Json json = {
      {"id", decision.id.value},       {"dispatcher", self.value},          {"user", decision.user.value},
      {"fn", decision.function.value}, {"topic", decision.partition.topic}, {"partition", decision.partition.partition},
      {"offset", decision.offset},     {"epoch", decision.epoch},           {"complete", decision.complete}};
  if (decision.complete) {
    json["status"] = StatusName(decision.status);
    json["start_path"] = StartPathName(decision.path);
    json["reason"] = decision.reason;
  }
  json["times_us"] = TimesJson(decision.times);
  json["steps"] = Json::array();
  for (const auto& step : decision.steps) json["steps"].push_back(StepJson(step));
  if (decision.steps_dropped > 0) json["steps_dropped"] = decision.steps_dropped;
  return Write(json);
}

std::string NoDecisionJson(const std::string& id, const DispatcherId& self) {
  return Write({{"id", id},
                {"dispatcher", self.value},
                {"error", "this dispatcher did not place it, or has forgotten it (it remembers the last " +
                              std::to_string(kMaxDecisions) + ")"}});
}

}  // namespace hearth::dispatcher
