// JSON that strangers sent: parsed with limits, an object at the top, no key twice there.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "schemas/limits.h"

namespace hearth::fields {

inline Result<nlohmann::json> ParseJsonObject(std::string_view text) {
  std::set<std::string> keys;
  std::string fault;
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    if (depth > static_cast<int>(kMaxMsgpackDepth) && fault.empty()) {
      fault = "JSON nested deeper than " + std::to_string(kMaxMsgpackDepth);
    }
    if (event == nlohmann::json::parse_event_t::key && depth == 1 && !keys.insert(parsed.get<std::string>()).second &&
        fault.empty()) {
      fault = "field '" + parsed.get<std::string>() + "' is there twice";
    }
    return fault.empty();
  };
  auto object = nlohmann::json::parse(text, watch, false);
  if (!fault.empty()) return Fail(Code::kInvalid, fault);
  if (object.is_discarded()) return Fail(Code::kInvalid, "the value is not JSON");
  if (!object.is_object()) return Fail(Code::kInvalid, "the value must be a JSON object");
  if (object.size() > kMaxMapKeys)
    return Fail(Code::kExhausted, "more than " + std::to_string(kMaxMapKeys) + " fields");
  return object;
}

// A JSON value to stand inside one of our objects, or nothing where `text` is no JSON or nested so deep that a reader
// would refuse it (and that writing it, which recurses, could exhaust the stack).
inline std::optional<nlohmann::json> ParseJsonValue(std::string_view text) {
  constexpr int kDepth = static_cast<int>(kMaxMsgpackDepth) - 2;
  bool deep = false;
  const auto watch = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    deep = deep || depth > kDepth;
    return !deep;
  };
  auto value = nlohmann::json::parse(text, watch, false);
  if (deep || value.is_discarded()) return std::nullopt;
  return value;
}

// Takes a field of the wanted type out of an object; false (and a fault naming the field) where it has another.
class JsonFields {
 public:
  explicit JsonFields(const nlohmann::json& object) : object_(object) {}

  void Text(const char* name, std::string& out) {
    const auto* value = Find(name);
    if (value == nullptr) return;
    if (!value->is_string()) return Fault(name, "text");
    out = value->get<std::string>();
  }
  template <class T>
  void Integer(const char* name, T& out) {
    const auto* value = Find(name);
    if (value == nullptr) return;
    if (!value->is_number_integer() ||
        (value->is_number_unsigned() &&
         value->get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<T>::max())) ||
        (!value->is_number_unsigned() &&
         value->get<std::int64_t>() < static_cast<std::int64_t>(std::numeric_limits<T>::min()))) {
      return Fault(name, "an integer in range");
    }
    out = value->get<T>();
  }
  const nlohmann::json* Find(const char* name) {
    const auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
  }
  void Fault(const char* name, const char* expected) {
    if (fault_.empty()) fault_ = std::string("field '") + name + "' must be " + expected;
  }
  Result<void> Finish() {
    if (fault_.empty()) return {};
    return Fail(Code::kInvalid, fault_);
  }

 private:
  const nlohmann::json& object_;
  std::string fault_;
};

// Text for people and for JSON values; bytes that are not UTF-8 are replaced.
inline std::string DumpJson(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace hearth::fields
