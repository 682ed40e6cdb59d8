// Whom a record that was refused came from. It is read apart from the request itself: what is wrong with one field says
// nothing about the others, and a record may be too large or too deep to be built in memory.
#include <algorithm>
#include <array>
#include <map>
#include <msgpack.hpp>
#include <nlohmann/json.hpp>
#include <span>

#include "schemas/request_fields.h"

namespace hearth::fields {
namespace {

// Texts by field. What is there and is no text of a sensible size stands as a text that is no name.
using Texts = std::map<std::string, std::string, std::less<>>;
const std::string kNoName(1, '\0');

// What a form calls the fields of the identity, in the order of kRequestFields, and then a CloudEvent's type.
constexpr std::size_t kType = kIdentityFields;
using Names = std::array<std::string_view, kIdentityFields + 1>;
Names NamesOf(RequestForm form) {
  Names names;
  for (std::size_t i = 0; i < kIdentityFields; ++i) {
    const RequestField& field = kRequestFields.at(i);
    switch (form) {
      case RequestForm::kHeaders: names.at(i) = field.header; break;
      case RequestForm::kCloudEventBinary: names.at(i) = field.event_header; break;
      case RequestForm::kCloudEventStructured: names.at(i) = field.attribute; break;
      case RequestForm::kMsgpack:
      case RequestForm::kJson: names.at(i) = field.key; break;
    }
  }
  if (form == RequestForm::kCloudEventBinary) names[kType] = "ce_type";
  if (form == RequestForm::kCloudEventStructured) names[kType] = "type";
  return names;
}

// Collects the wanted fields of the outermost map, whatever else there is. The last of two equal ones counts, and null
// is absent.
class Collector {
 public:
  explicit Collector(const Names& names) : names_(names) {}

  bool Enter() {
    if (depth_ == 1) Take(kNoName);
    ++depth_;
    return true;
  }
  bool Leave() {
    --depth_;
    return true;
  }
  bool Key(std::string_view name) {
    if (depth_ == 1) key_ = name;
    return true;
  }
  bool Null() {
    if (depth_ == 1) texts_.erase(key_);
    return true;
  }
  bool Other() {
    if (depth_ == 1) Take(kNoName);
    return true;
  }
  bool Text(std::string_view text) {
    if (depth_ == 1) Take(text.size() <= kMaxHeaderBytes ? text : kNoName);
    return true;
  }
  Texts texts() && { return std::move(texts_); }

 private:
  void Take(std::string_view text) {
    if (!key_.empty() && std::ranges::find(names_, key_) != names_.end()) {
      texts_.insert_or_assign(key_, std::string(text));
    }
  }

  const Names& names_;
  std::size_t depth_ = 0;
  std::string key_;
  Texts texts_;
};

class JsonTexts : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit JsonTexts(Collector& collector) : collector_(collector) {}
  bool null() override { return collector_.Null(); }
  bool boolean(bool) override { return collector_.Other(); }
  bool number_integer(number_integer_t) override { return collector_.Other(); }
  bool number_unsigned(number_unsigned_t) override { return collector_.Other(); }
  bool number_float(number_float_t, const string_t&) override { return collector_.Other(); }
  bool string(string_t& text) override { return collector_.Text(text); }
  bool binary(binary_t&) override { return collector_.Other(); }
  bool start_object(std::size_t) override { return collector_.Enter(); }
  bool start_array(std::size_t) override { return collector_.Enter(); }
  bool end_object() override { return collector_.Leave(); }
  bool end_array() override { return collector_.Leave(); }
  bool key(string_t& name) override { return collector_.Key(name); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override { return false; }

 private:
  Collector& collector_;
};

class MsgpackTexts : public msgpack::null_visitor {
 public:
  explicit MsgpackTexts(Collector& collector) : collector_(collector) {}
  bool visit_nil() { return collector_.Null(); }
  bool visit_boolean(bool) { return collector_.Other(); }
  bool visit_positive_integer(std::uint64_t) { return collector_.Other(); }
  bool visit_negative_integer(std::int64_t) { return collector_.Other(); }
  bool visit_float32(float) { return collector_.Other(); }
  bool visit_float64(double) { return collector_.Other(); }
  bool visit_str(const char* text, std::uint32_t size) {
    return in_key_ ? collector_.Key({text, size}) : collector_.Text({text, size});
  }
  bool visit_bin(const char* bytes, std::uint32_t size) { return visit_str(bytes, size); }
  bool visit_ext(const char*, std::uint32_t) { return collector_.Other(); }
  bool start_array(std::uint32_t) { return collector_.Enter(); }
  bool end_array() { return collector_.Leave(); }
  bool start_map(std::uint32_t) { return collector_.Enter(); }
  bool end_map() { return collector_.Leave(); }
  bool start_map_key() {
    in_key_ = true;
    return true;
  }
  bool end_map_key() {
    in_key_ = false;
    return true;
  }
  void parse_error(std::size_t, std::size_t) { failed = true; }
  void insufficient_bytes(std::size_t, std::size_t) { failed = true; }

  bool failed = false;

 private:
  Collector& collector_;
  bool in_key_ = false;
};

Texts OfHeaders(const Record& record, const Names& names) {
  Texts texts;
  for (const auto name : names) {
    const auto* text = name.empty() ? nullptr : FindHeader(record, name);
    if (text != nullptr) texts.emplace(name, *text);
  }
  return texts;
}

// Nothing where the value is not what it seems to be.
Texts OfValue(std::string_view value, bool json, const Names& names) {
  if (value.size() > kMaxScannedBytes) return {};
  Collector collector(names);
  if (json) {
    JsonTexts visitor(collector);
    if (!nlohmann::json::sax_parse(value, &visitor)) return {};
  } else {
    MsgpackTexts visitor(collector);
    std::size_t offset = 0;
    if (!msgpack::parse(value.data(), value.size(), offset, visitor) || visitor.failed) return {};
  }
  return std::move(collector).texts();
}

}  // namespace

Refusal ReadIdentity(const Record& record, RequestForm form) {
  const Names names = NamesOf(form);
  const bool in_headers = form == RequestForm::kHeaders || form == RequestForm::kCloudEventBinary;
  const Texts texts =
      in_headers ? OfHeaders(record, names) : OfValue(record.value, form != RequestForm::kMsgpack, names);
  const auto text = [&texts](std::string_view name) {
    const auto found = texts.find(name);
    return found == texts.end() ? std::string() : found->second;
  };
  Refusal refusal;
  Request& request = refusal.request;
  request.form = form;
  for (std::size_t i = 0; i < kIdentityFields; ++i) kRequestFields.at(i).text(request) = text(names.at(i));
  TakeFunctionOfType(text(names[kType]), request);
  if (request.id.empty()) request.id = IdOfPlace(record);

  const bool good_id = IsInvocationId(request.id.value, form);
  const bool good_user = IsIdentifier(request.user.value);
  const bool good_topic = request.reply_to.empty() || IsIdentifier(request.reply_to);
  if (!good_id) request.id = IdOfPlace(record);
  if (!good_user) request.user = UserId();
  if (!IsIdentifier(request.function.value)) request.function = FunctionName();
  if (!good_topic) request.reply_to.clear();
  refusal.answerable = good_id && good_user && good_topic;
  return refusal;
}

}  // namespace hearth::fields
