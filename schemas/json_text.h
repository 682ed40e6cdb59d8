// JSON that strangers sent: parsed with limits, an object at the top.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "schemas/limits.h"

namespace hearth::fields {

// Builds the value of a JSON text in one pass, and gives up where it is nested deeper than `most`. Of equal keys the
// last one counts. The library's parser with a callback can bound the depth too, in a time that is quadratic in the
// number of objects.
class JsonBuilder : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit JsonBuilder(std::size_t most) : most_(most) {}

  bool null() override { return Put(nullptr); }
  bool boolean(bool value) override { return Put(value); }
  bool number_integer(number_integer_t value) override { return Put(value); }
  bool number_unsigned(number_unsigned_t value) override { return Put(value); }
  bool number_float(number_float_t value, const string_t&) override { return Put(value); }
  bool string(string_t& value) override { return Put(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // JSON has none
  bool start_object(std::size_t) override { return Enter(nlohmann::json::value_t::object); }
  bool start_array(std::size_t) override { return Enter(nlohmann::json::value_t::array); }
  bool end_object() override { return Leave(); }
  bool end_array() override { return Leave(); }
  bool key(string_t& name) override {
    field_ = &(*open_.back())[std::move(name)];
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override { return false; }

  [[nodiscard]] bool too_deep() const { return too_deep_; }
  [[nodiscard]] nlohmann::json Take() { return std::move(root_); }

 private:
  // The value's place: the top, the end of the array, or the field whose key came last.
  template <class T>
  nlohmann::json& Place(T&& value) {
    if (open_.empty()) return root_ = nlohmann::json(std::forward<T>(value));
    if (!open_.back()->is_array()) return *field_ = nlohmann::json(std::forward<T>(value));
    auto& elements = open_.back()->get_ref<nlohmann::json::array_t&>();
    return elements.emplace_back(std::forward<T>(value));
  }
  template <class T>
  bool Put(T&& value) {
    Place(std::forward<T>(value));
    return true;
  }
  bool Enter(nlohmann::json::value_t kind) {
    too_deep_ = open_.size() == most_;
    if (!too_deep_) open_.push_back(&Place(kind));
    return !too_deep_;
  }
  bool Leave() {
    open_.pop_back();
    return true;
  }

  const std::size_t most_;
  bool too_deep_ = false;
  nlohmann::json root_;
  std::vector<nlohmann::json*> open_;  // from the outermost on; none of them moves while it is open
  nlohmann::json* field_ = nullptr;
};

inline Result<nlohmann::json> ParseJsonObject(std::string_view text) {
  JsonBuilder builder(kMaxMsgpackDepth);
  const bool sound = nlohmann::json::sax_parse(text, &builder);
  if (builder.too_deep()) {
    return Fail(Code::kExhausted, "JSON nested deeper than " + std::to_string(kMaxMsgpackDepth));
  }
  if (!sound) return Fail(Code::kInvalid, "the value is not JSON");
  auto object = builder.Take();
  if (!object.is_object()) return Fail(Code::kInvalid, "the value must be a JSON object");
  if (object.size() > kMaxMapKeys)
    return Fail(Code::kExhausted, "more than " + std::to_string(kMaxMapKeys) + " fields");
  return object;
}

// A JSON value to stand inside one of our objects, or nothing where `text` is no JSON or nested so deep that a reader
// would refuse it (and that writing it, which recurses, could exhaust the stack).
inline std::optional<nlohmann::json> ParseJsonValue(std::string_view text) {
  JsonBuilder builder(kMaxMsgpackDepth - 2);
  if (!nlohmann::json::sax_parse(text, &builder)) return std::nullopt;
  return builder.Take();
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
