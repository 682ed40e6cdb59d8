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

// Looks at the shape of a JSON text before anything is built of it: how deep it is, and whether a key of the outermost
// object comes twice. The library's parser with a callback does this too, in a time that is quadratic in the number of
// objects.
class JsonShape : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit JsonShape(std::size_t most_depth) : most_depth_(most_depth) {}

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
  bool key(string_t& name) override {
    if (depth_ != 1 || keys_.insert(name).second) return true;
    fault_ = "field '" + name + "' is there twice";
    return false;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override { return false; }

  [[nodiscard]] const std::string& fault() const { return fault_; }

 private:
  bool Enter() {
    if (++depth_ <= most_depth_) return true;
    fault_ = "JSON nested deeper than " + std::to_string(most_depth_);
    return false;
  }
  bool Leave() {
    --depth_;
    return true;
  }

  const std::size_t most_depth_;
  std::size_t depth_ = 0;
  std::set<std::string> keys_;
  std::string fault_;
};

inline Result<nlohmann::json> ParseJsonObject(std::string_view text) {
  JsonShape shape(kMaxMsgpackDepth);
  const bool sound = nlohmann::json::sax_parse(text, &shape);
  if (!shape.fault().empty()) return Fail(Code::kInvalid, shape.fault());
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
  constexpr std::size_t kDepth = kMaxMsgpackDepth - 2;
  class AnyKeys : public JsonShape {
   public:
    using JsonShape::JsonShape;
    bool key(string_t&) override { return true; }
  };
  AnyKeys shape(kDepth);
  if (!nlohmann::json::sax_parse(text, &shape)) return std::nullopt;
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
