#include "schemas/batch_want.h"

#include "schemas/batch_json.h"

namespace hearth {
namespace {

using fields::BatchFields;

constexpr std::string_view kWantWhat = "want";

nlohmann::json JsonOf(const WantRun& want) {
  return kRunWishes.at(static_cast<std::size_t>(want.wish)).name;
}
nlohmann::json JsonOf(const WantConcurrency& want) {
  return want.most;
}
nlohmann::json JsonOf(const WantPriority& want) {
  return want.priority;
}
nlohmann::json JsonOf(const WantTolerance& want) {
  return want.tolerance ? nlohmann::json(FormatTolerance(*want.tolerance)) : nlohmann::json();
}
nlohmann::json JsonOf(const WantDeadline& want) {
  return want.deadline_ms;
}
nlohmann::json JsonOf(const WantRedrive& want) {
  nlohmann::json object = {{"generation", want.generation}, {"status", fields::SelectionJson(want.selection)}};
  if (want.version == kVersionNewest) object["version"] = fields::kNewest;
  if (want.version > 0) object["version"] = want.version;
  return object;
}

void ReadRun(BatchFields& fields, const nlohmann::json& value, WantRun& want) {
  const auto row = FindByName(kRunWishes, "run", value.is_string() ? value.get<std::string>() : std::string());
  if (!row) return fields.Fault(Code::kInvalid, "run", BatchFields::Shown(value), Names(kRunWishes));
  want.wish = (*row)->wish;
}

// The faults of its fields name them by themselves: there is one object only.
Result<Want> ReadRedrive(const nlohmann::json& value) {
  BatchFields fields("want redrive", value);
  WantRedrive want;
  if (fields.Find("generation") == nullptr) fields.Wrong("generation", "is absent");
  fields.Number("generation", 1, kMaxBatchGeneration, want.generation);
  fields.Selection("status", want.selection);
  fields.Version("version", kVersionNewest, want.version);
  if (auto good = fields.Finish(); !good) return std::unexpected(good.error());
  return want;
}

}  // namespace

std::string EncodeWant(const Want& want) {
  return fields::DumpJson(std::visit([](const auto& one) { return JsonOf(one); }, want));
}

Result<Want> DecodeWant(WantField field, std::string_view json) {
  const std::string name(kWantFields.at(static_cast<std::size_t>(field)).name);
  if (json.size() > kMaxBatchWantBytes) {
    return Fail(Code::kExhausted, "want " + name + " has " + std::to_string(json.size()) + " bytes; the limit is " +
                                      std::to_string(kMaxBatchWantBytes));
  }
  const auto value = fields::ParseJsonValue(json);
  if (!value) return Fail(Code::kInvalid, "want " + name + ": the value is not JSON");
  if (field == WantField::kRedrive && value->is_object()) return ReadRedrive(*value);

  const nlohmann::json object = {{name, *value}};
  BatchFields fields(kWantWhat, object);
  Want want;
  switch (field) {
    case WantField::kRun: ReadRun(fields, *value, want.emplace<WantRun>()); break;
    case WantField::kConcurrency:
      fields.Number(name.c_str(), *value, 0, kMaxBatchConcurrency, want.emplace<WantConcurrency>().most);
      break;
    case WantField::kPriority:
      fields.Number(name.c_str(), *value, 1, kMaxBatchPriority, want.emplace<WantPriority>().priority);
      break;
    case WantField::kTolerance: fields.Tolerated(name.c_str(), want.emplace<WantTolerance>().tolerance); break;
    case WantField::kDeadline:
      fields.Number(name.c_str(), *value, 1, kMaxTimeMs, want.emplace<WantDeadline>().deadline_ms);
      break;
    case WantField::kRedrive: fields.Fault(Code::kInvalid, name, BatchFields::Shown(*value), "an object"); break;
  }
  if (auto good = fields.Finish(); !good) return std::unexpected(good.error());
  return want;
}

}  // namespace hearth
