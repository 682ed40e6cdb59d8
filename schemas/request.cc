#include "schemas/request.h"

#include <algorithm>

#include "schemas/request_fields.h"

namespace hearth {
namespace {

using fields::FindHeader;

Result<RequestForm> FormOf(const Record& record) {
  if (FindHeader(record, "hearth-fn") != nullptr) return RequestForm::kHeaders;
  if (FindHeader(record, "ce_specversion") != nullptr || FindHeader(record, "ce_type") != nullptr) {
    return RequestForm::kCloudEventBinary;
  }
  const auto* type = FindHeader(record, "content-type");
  if (type != nullptr) {
    if (type->starts_with("application/cloudevents+json")) return RequestForm::kCloudEventStructured;
    if (type->starts_with("application/msgpack") || type->starts_with("application/x-msgpack"))
      return RequestForm::kMsgpack;
    if (type->starts_with("application/json")) return RequestForm::kJson;
  }
  if (!record.value.empty()) {
    const auto first = static_cast<unsigned char>(record.value.front());
    if (first == '{') return RequestForm::kJson;
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
  if (record.headers.size() > kMaxHeaders) {
    return Fail(Code::kExhausted, "the record has more than " + std::to_string(kMaxHeaders) + " headers");
  }
  for (const auto& header : record.headers) {
    if (header.name.size() + header.value.size() > kMaxHeaderBytes) {
      return Fail(Code::kExhausted, "a header has more than " + std::to_string(kMaxHeaderBytes) + " bytes");
    }
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

Result<void> Validate(const Request& request) {
  if (auto good = Identifier("id", request.id.value, true); !good) return good;
  if (auto good = Identifier("fn", request.function.value, true); !good) return good;
  if (auto good = Identifier("user", request.user.value, true); !good) return good;
  if (auto good = Identifier("reply_to", request.reply_to, false); !good) return good;
  if (request.order_key.size() > kMaxIdentifierBytes) {
    return Fail(Code::kExhausted, "field 'order_key' has more than " + std::to_string(kMaxIdentifierBytes) + " bytes");
  }
  for (const auto* text : {&request.traceparent, &request.content_type}) {
    if (text->size() > 256 || !fields::IsUtf8(*text) ||
        text->find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      return Fail(Code::kInvalid, "traceparent and content_type must be one line of at most 256 bytes");
    }
  }
  if (request.expires_ms < 0) return Fail(Code::kInvalid, "field 'expires' must not be negative");
  if (request.timeout_ms < 0 || request.timeout_ms > kMaxTimeoutMs) {
    return Fail(Code::kInvalid, "field 'timeout_ms' must be from 0 to " + std::to_string(kMaxTimeoutMs));
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

Result<Request> DecodeRequest(const Record& record, Request* partial) {
  Request request;
  const auto decode = [&]() -> Result<void> {
    if (auto sizes = CheckSizes(record); !sizes) return sizes;
    auto form = FormOf(record);
    if (!form) return std::unexpected(form.error());
    request.form = *form;
    if (auto decoded = DecodeForm(record, request); !decoded) return decoded;
    if (request.id.empty()) {
      // Of a long topic's name only the end fits into an identifier.
      constexpr std::size_t kTopicBytes = 90;
      const std::string& topic = record.partition.topic;
      request.id = InvocationId(topic.substr(topic.size() - std::min(topic.size(), kTopicBytes)) + "-" +
                                std::to_string(record.partition.partition) + "-" + std::to_string(record.offset));
    }
    return Validate(request);
  };
  if (auto done = decode(); !done) {
    if (partial != nullptr) *partial = request;
    return std::unexpected(done.error());
  }
  return request;
}

OutRecord EncodeRequest(const Request& request, const std::string& topic) {
  OutRecord record{topic, request.order_key.empty() ? request.user.value : request.order_key, "", {}};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) record.headers.push_back({name, value});
  };
  switch (request.form) {
    case RequestForm::kMsgpack: fields::EncodeMsgpackMap(request, record); break;
    case RequestForm::kJson: fields::EncodeJsonMap(request, record); break;
    case RequestForm::kCloudEventBinary: fields::EncodeCloudEventBinary(request, record); break;
    case RequestForm::kCloudEventStructured: fields::EncodeCloudEventStructured(request, record); break;
    case RequestForm::kHeaders:
      add("hearth-fn", request.function.value);
      add("hearth-user", request.user.value);
      add("hearth-id", request.id.value);
      add("hearth-reply-to", request.reply_to);
      add("hearth-order-key", request.order_key);
      if (request.expires_ms != 0) add("hearth-expires", std::to_string(request.expires_ms));
      if (request.timeout_ms != 0) add("hearth-timeout-ms", std::to_string(request.timeout_ms));
      add("traceparent", request.traceparent);
      add("content-type", request.content_type);
      record.value = request.payload;
      break;
  }
  return record;
}

}  // namespace hearth
