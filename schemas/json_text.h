// JSON that strangers sent: parsed with limits, an object at the top.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "schemas/limits.h"

namespace hearth::fields {

// Looks at how deep a JSON text is before anything is built of it. The library's parser with a callback can do this
// too, in a time that is quadratic in the number of objects.
class JsonDepth : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit JsonDepth(std::size_t most) : most_(most) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return Enter(); }
  bool start_array(std::size_t) override { return Enter(); }
  bool end_object() override { return Leave(); }
  bool end_array() override { return Leave(); }
  bool key(string_t&) override { return true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override { return false; }

  [[nodiscard]] bool too_deep() const { return depth_ > most_; }

 private:
  bool Enter() { return ++depth_ <= most_; }
  bool Leave() {
    --depth_;
    return true;
  }

  const std::size_t most_;
  std::size_t depth_ = 0;
};

// Of equal keys the last one counts.
inline Result<nlohmann::json> ParseJsonObject(std::string_view text) {
  JsonDepth depth(kMaxMsgpackDepth);
  const bool sound = nlohmann::json::sax_parse(text, &depth);
  if (depth.too_deep()) return Fail(Code::kExhausted, "JSON nested deeper than " + std::to_string(kMaxMsgpackDepth));
  if (!sound) return Fail(Code::kInvalid, "the value is not JSON");
  auto object = nlohmann::json::parse(text, nullptr, false);
  if (!object.is_object()) return Fail(Code::kInvalid, "the value must be a JSON object");
  if (object.size() > kMaxMapKeys)
    return Fail(Code::kExhausted, "more than " + std::to_string(kMaxMapKeys) + " fields");
  return object;
}

// A JSON value to stand inside one of our objects, or nothing where `text` is no JSON or nested so deep that a reader
// would refuse it (and that writing it, which recurses, could exhaust the stack).
inline std::optional<nlohmann::json> ParseJsonValue(std::string_view text) {
  JsonDepth depth(kMaxMsgpackDepth - 2);
  if (!nlohmann::json::sax_parse(text, &depth)) return std::nullopt;
  return nlohmann::json::parse(text, nullptr, false);
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
  // Null is absent.
  const nlohmann::json* Find(const char* name) {
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
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
