#include "schemas/request.h"

#include <algorithm>

#include "schemas/request_fields.h"

namespace hearth {
namespace {

using fields::FindHeader;

constexpr std::size_t kMaxOwnHeaders = 32;  // of a record that hearth gave up; it adds about ten

Result<RequestForm> FormOf(const Record& record) {
  if (FindHeader(record, "hearth-fn") != nullptr) return RequestForm::kHeaders;
  if (FindHeader(record, "ce_specversion") != nullptr || FindHeader(record, "ce_type") != nullptr) {
    return RequestForm::kCloudEventBinary;
  }
  if (const auto* content_type = FindHeader(record, "content-type")) {
    const std::string type = fields::MediaType(*content_type);
    if (type == fields::kStructuredEvent) return RequestForm::kCloudEventStructured;
    if (fields::IsMsgpack(type)) return RequestForm::kMsgpack;
    if (fields::IsJson(type)) return RequestForm::kJson;
  }
  const auto begin = record.value.find_first_not_of(" \t\r\n");
  if (begin != std::string::npos && record.value[begin] == '{') return RequestForm::kJson;
  if (!record.value.empty()) {
    const auto first = static_cast<unsigned char>(record.value.front());
    if ((first & 0xf0U) == 0x80 || first == 0xde || first == 0xdf) return RequestForm::kMsgpack;
  }
  return Fail(Code::kInvalid,
              "not a request: neither a hearth-fn header, nor a CloudEvent, nor one msgpack or JSON map");
}

Result<void> CheckSizes(const Record& record) {
  if (record.value.size() > kMaxRecordBytes) {
    return Fail(Code::kExhausted, "the record's value has " + std::to_string(record.value.size()) +
                                      " bytes; the limit is " + std::to_string(kMaxRecordBytes));
  }
  std::size_t own = 0;
  for (const auto& header : record.headers) {
    if (IsHearthsOwnHeader(header.name)) {
      ++own;
    } else if (header.name.size() + header.value.size() > kMaxHeaderBytes) {
      return Fail(Code::kExhausted, "a header has more than " + std::to_string(kMaxHeaderBytes) + " bytes");
    }
  }
  if (record.headers.size() - std::min(own, kMaxOwnHeaders) > kMaxHeaders) {
    return Fail(Code::kExhausted, "the record has more than " + std::to_string(kMaxHeaders) + " headers");
  }
  return {};
}

Result<void> DecodeForm(const Record& record, Request& request) {
  switch (request.form) {
    case RequestForm::kHeaders: return fields::DecodeHeaders(record, request);
    case RequestForm::kMsgpack: return fields::DecodeMsgpackMap(record.value, request);
    case RequestForm::kJson: return fields::DecodeJsonMap(record.value, request);
    case RequestForm::kCloudEventBinary: return fields::DecodeCloudEventBinary(record, request);
    case RequestForm::kCloudEventStructured: return fields::DecodeCloudEventStructured(record.value, request);
  }
  return Fail(Code::kInternal, "a form that does not exist");
}

bool IsEvent(RequestForm form) {
  return form == RequestForm::kCloudEventBinary || form == RequestForm::kCloudEventStructured;
}

// A text as CloudEvents has it.
bool IsEventId(std::string_view text) {
  return !text.empty() && text.size() <= kMaxEventIdBytes && fields::IsPlainText(text);
}

// W3C trace context, "00-<32 hex>-<16 hex>-<2 hex>"; later versions may go on after another dash.
bool IsTraceparent(std::string_view text) {
  constexpr std::size_t kSize = 55;
  if (text.size() < kSize || text.size() > kMaxIdentifierBytes) return false;
  if (text.size() > kSize && (text[kSize] != '-' || text.starts_with("00"))) return false;
  for (std::size_t i = 0; i < kSize; ++i) {
    const bool dash = i == 2 || i == 35 || i == 52;
    const char c = text[i];
    if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  const auto zero = [](std::string_view part) { return part.find_first_not_of('0') == std::string_view::npos; };
  const bool one_line = std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
  return !text.starts_with("ff") && !zero(text.substr(3, 32)) && !zero(text.substr(36, 16)) && one_line;
}

Result<void> Identifier(const char* name, const std::string& text, bool required) {
  if (text.empty() && !required) return {};
  if (text.empty()) return Fail(Code::kInvalid, std::string("field '") + name + "' is absent");
  if (text.size() > kMaxIdentifierBytes) {
    return Fail(Code::kExhausted,
                std::string("field '") + name + "' has more than " + std::to_string(kMaxIdentifierBytes) + " bytes");
  }
  if (!IsIdentifier(text)) return Fail(Code::kInvalid, std::string("field '") + name + "' must be of [A-Za-z0-9._-]");
  return {};
}

Result<void> CheckEventId(const std::string& id) {
  if (id.size() > kMaxEventIdBytes) {
    return Fail(Code::kExhausted, "field 'id' has more than " + std::to_string(kMaxEventIdBytes) + " bytes");
  }
  if (IsEventId(id)) return {};
  return Fail(Code::kInvalid, "field 'id' must be text without control characters");
}

Result<void> Validate(const Request& request) {
  if (auto good = IsEvent(request.form) ? CheckEventId(request.id.value) : Identifier("id", request.id.value, true);
      !good)
    return good;
  if (auto good = Identifier("fn", request.function.value, true); !good) return good;
  if (auto good = Identifier("user", request.user.value, true); !good) return good;
  if (auto good = Identifier("reply_to", request.reply_to, false); !good) return good;
  if (auto good = fields::CheckOrderKey(request.order_key); !good) return good;
  if (auto good = fields::CheckContentType(request.content_type); !good) return good;
  for (const auto& field : fields::kRequestFields) {
    if (field.number == nullptr) continue;
    if (auto good = fields::CheckNumber(field, field.key, request.*field.number); !good) return good;
  }
  if (request.payload.size() > kMaxPayloadBytes) {
    return Fail(Code::kExhausted, "the payload has " + std::to_string(request.payload.size()) +
                                      " bytes; the limit is " + std::to_string(kMaxPayloadBytes));
  }
  return {};
}

}  // namespace

bool IsIdentifier(std::string_view text) {
  if (text.empty() || text.size() > kMaxIdentifierBytes) return false;
  for (const char c : text) {
    const bool good =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    if (!good) return false;
  }
  return true;
}

bool IsInvocationId(std::string_view text, RequestForm form) {
  return IsEvent(form) ? IsEventId(text) : IsIdentifier(text);
}

InvocationId IdOfPlace(const Record& record) {
  constexpr std::size_t kTopicBytes = 90;  // of a long name only the end fits into an identifier
  const std::string& topic = record.partition.topic;
  return InvocationId(topic.substr(topic.size() - std::min(topic.size(), kTopicBytes)) + "-" +
                      std::to_string(record.partition.partition) + "-" + std::to_string(record.offset));
}

bool IsHearthsOwnHeader(std::string_view name) {
  return name.starts_with("hearth-dead-") || name.starts_with("hearth-cut-") ||
         name.starts_with("hearth-undeliverable-");
}

Result<Request> DecodeRequest(const Record& record, Refusal* refusal) {
  auto form = FormOf(record);
  if (!form) return std::unexpected(form.error());
  Request request;
  request.form = *form;
  const auto decode = [&]() -> Result<void> {
    if (auto sizes = CheckSizes(record); !sizes) return sizes;
    if (auto decoded = DecodeForm(record, request); !decoded) return decoded;
    if (request.id.empty()) request.id = IdOfPlace(record);
    if (!IsTraceparent(request.traceparent)) request.traceparent.clear();
    return Validate(request);
  };
  if (auto done = decode(); !done) {
    if (refusal != nullptr) *refusal = fields::ReadIdentity(record, *form);
    return std::unexpected(done.error());
  }
  request.expires_ms = std::min(request.expires_ms, kMaxTimeMs);
  return request;
}

OutRecord EncodeRequest(const Request& request, const std::string& topic) {
  OutRecord record{topic, request.order_key.empty() ? request.user.value : request.order_key, "", {}};
  switch (request.form) {
    case RequestForm::kMsgpack: fields::EncodeMsgpackMap(request, record); break;
    case RequestForm::kJson: fields::EncodeJsonMap(request, record); break;
    case RequestForm::kCloudEventBinary: fields::EncodeCloudEventBinary(request, record); break;
    case RequestForm::kCloudEventStructured: fields::EncodeCloudEventStructured(request, record); break;
    case RequestForm::kHeaders: fields::EncodeHeaders(request, record); break;
  }
  return record;
}

}  // namespace hearth
