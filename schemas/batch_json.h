// What the JSON records of batches have in common: fields that are taken with their bounds. The first fault counts, and
// it names the field, its value and the limit.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/result.h"
#include "common/base/text.h"
#include "schemas/batch.h"
#include "schemas/batch_spec.h"
#include "schemas/json_text.h"
#include "schemas/request.h"

namespace hearth::fields {

constexpr std::int64_t kBatchFormat = 1;
constexpr std::string_view kNewest = "newest";

class BatchFields {
 public:
  // `what` opens every fault: "spec", "state".
  BatchFields(std::string_view what, const nlohmann::json& object) : what_(what), object_(object) {}

  // Null is absent.
  [[nodiscard]] const nlohmann::json* Find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  // An integer from `least` to `most`.
  template <class T>
  void Number(const char* name, std::int64_t least, std::int64_t most, T& out) {
    if (const auto* value = Find(name)) Number(name, *value, least, most, out);
  }
  template <class T>
  void Number(const char* name, const nlohmann::json& value, std::int64_t least, std::int64_t most, T& out) {
    const bool integer = value.is_number_integer();
    const bool huge = value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX);
    if (!integer || huge || value.get<std::int64_t>() < least || value.get<std::int64_t>() > most) {
      const bool above = integer && (huge || value.get<std::int64_t>() > most);
      return Fault(above ? Code::kExhausted : Code::kInvalid, name, Shown(value),
                   "an integer from " + std::to_string(least) + " to " + std::to_string(most));
    }
    out = static_cast<T>(value.get<std::int64_t>());
  }
  void Text(const char* name, std::size_t most, std::string& out) {
    const auto* value = Find(name);
    if (value == nullptr) return;
    if (!value->is_string()) return Fault(Code::kInvalid, name, Shown(*value), "text");
    const auto& text = value->get_ref<const std::string&>();
    if (text.size() > most) return TooMany(name, text.size(), "bytes", most);
    out = text;
  }
  void Identifier(const char* name, std::string& out) {
    const auto* value = Find(name);
    if (value == nullptr) return;
    if (!value->is_string() || !IsIdentifier(value->get_ref<const std::string&>())) {
      return Fault(Code::kInvalid, name, Shown(*value),
                   "1 to " + std::to_string(kMaxIdentifierBytes) + " of [A-Za-z0-9._-]");
    }
    out = value->get<std::string>();
  }
  // A version of a function: a positive number, or "newest", which stands as `newest`.
  void Version(const char* name, std::int64_t newest, std::int64_t& out) {
    const auto* value = Find(name);
    if (value == nullptr) return;
    if (value->is_string() && value->get_ref<const std::string&>() == kNewest) {
      out = newest;
    } else if (value->is_string()) {
      Fault(Code::kInvalid, name, Shown(*value), "a positive number or \"newest\"");
    } else {
      Number(name, *value, 1, INT64_MAX, out);
    }
  }
  // A number of items, or the text "N%".
  void Tolerated(const char* name, std::optional<Tolerance>& out) {
    const auto* value = Find(name);
    if (value == nullptr) return;
    Tolerance tolerance;
    if (value->is_string()) {
      const auto parsed = ParseTolerance(value->get_ref<const std::string&>());
      if (!parsed) {
        return Fault(parsed.error().code, name, Shown(*value),
                     "a number of items, or a text of 0% to " + std::to_string(kMaxTolerancePercent) + "%");
      }
      tolerance = *parsed;
    } else {
      Number(name, *value, 0, kMaxBatchItems, tolerance.most);
    }
    out = tolerance;
  }
  // An object of texts.
  void Labels(const char* name, std::map<std::string, std::string>& out) {
    const auto* object = Find(name);
    if (object == nullptr) return;
    if (!object->is_object()) return Fault(Code::kInvalid, name, Shown(*object), "an object");
    if (object->size() > kMaxLabels) return TooMany(name, object->size(), "labels", kMaxLabels);
    for (const auto& [label, value] : object->items()) {
      if (label.empty()) return Wrong(name, "has a label without a name");
      if (label.size() > kMaxLabelNameBytes) return TooMany(name, label.size(), "bytes in a name", kMaxLabelNameBytes);
      const std::string place = std::string(name) + "." + label;
      if (!value.is_string()) return Fault(Code::kInvalid, place, Shown(value), "text");
      const auto& text = value.get_ref<const std::string&>();
      if (text.size() > kMaxLabelValueBytes) return TooMany(place, text.size(), "bytes", kMaxLabelValueBytes);
      out[label] = text;
    }
  }
  // A list of names of terminal statuses, at least one.
  void Selection(const char* name, StatusSelection& out) {
    const auto* value = Find(name);
    if (value == nullptr) return;
    if (!value->is_array() || value->empty()) return Fault(Code::kInvalid, name, Shown(*value), "a list of statuses");
    StatusSelection selection;
    for (const auto& one : *value) {
      const auto status = one.is_string() ? ParseItemStatus(one.get_ref<const std::string&>())
                                          : Result<ItemStatus>(Fail(Code::kInvalid, "no text"));
      if (!status || *status == ItemStatus::kPending) {
        return Fault(Code::kInvalid, name, Shown(one), "names of terminal statuses");
      }
      selection.Add(*status);
    }
    out = selection;
  }

  void Fault(Code code, std::string_view name, std::string_view value, std::string_view must) {
    if (!fault_) fault_ = Error{code, Field(name) + " is " + std::string(value) + ": it must be " + std::string(must)};
  }
  void TooMany(std::string_view name, std::size_t has, std::string_view unit, std::size_t most) {
    if (fault_) return;
    fault_ = Error{Code::kExhausted, Field(name) + " has " + std::to_string(has) + " " + std::string(unit) +
                                         "; the limit is " + std::to_string(most)};
  }
  void Wrong(std::string_view name, std::string_view why) {
    if (!fault_) fault_ = Error{Code::kInvalid, Field(name) + " " + std::string(why)};
  }
  [[nodiscard]] bool ok() const { return !fault_; }
  [[nodiscard]] Result<void> Finish() const {
    if (fault_) return std::unexpected(*fault_);
    return {};
  }

  static std::string Shown(const nlohmann::json& value) {
    constexpr std::size_t kMostShown = 64;
    if (value.is_object()) return "an object";
    if (value.is_array()) return "a list of " + std::to_string(value.size());
    return CutText(DumpJson(value), kMostShown);
  }

 private:
  [[nodiscard]] std::string Field(std::string_view name) const { return what_ + ": field '" + std::string(name) + "'"; }

  std::string what_;
  const nlohmann::json& object_;
  std::optional<Error> fault_;
};

// The object in a record of at most `most` bytes, of a version that this hearth knows.
inline Result<nlohmann::json> ParseBatchObject(std::string_view what, std::string_view bytes, std::size_t most) {
  if (bytes.size() > most) {
    return Fail(Code::kExhausted, std::string(what) + " has " + std::to_string(bytes.size()) + " bytes; the limit is " +
                                      std::to_string(most));
  }
  auto object = ParseJsonObject(bytes);
  if (!object) return FailWith(what, object.error());
  std::int64_t v = kBatchFormat;
  BatchFields fields(what, *object);
  fields.Number("v", kBatchFormat, kBatchFormat, v);
  if (auto known = fields.Finish(); !known) return std::unexpected(known.error());
  return object;
}

inline nlohmann::json SelectionJson(const StatusSelection& selection) {
  auto names = nlohmann::json::array();
  for (const ItemStatusRow& row : kItemStatuses) {
    if (selection.Has(row.status)) names.push_back(row.name);
  }
  return names;
}

}  // namespace hearth::fields
