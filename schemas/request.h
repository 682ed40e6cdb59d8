// What a caller asks for, in the three forms in which it may come. The reference for producers is schemas/README.md.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "schemas/record.h"

namespace hearth {

// How the request was written; the reply is written the same way.
enum class RequestForm : std::uint8_t {
  kHeaders = 0,               // control in hearth-* headers, value = payload
  kMsgpack = 1,               // value = one msgpack map
  kJson = 2,                  // value = one JSON object
  kCloudEventBinary = 3,      // ce_* headers, value = data
  kCloudEventStructured = 4,  // application/cloudevents+json
};

struct Request {
  RequestForm form = RequestForm::kHeaders;
  InvocationId id;  // never empty after decoding: where the caller chose none, "<topic>-<partition>-<offset>"
  UserId user;
  FunctionName function;
  std::string reply_to;   // empty: the default reply topic
  std::string order_key;  // empty: no order
  std::string traceparent;
  std::string content_type;
  std::int64_t expires_ms = 0;  // ms since the epoch; 0: never
  std::int32_t timeout_ms = 0;  // 0: the function's own
  std::string payload;          // opaque bytes
};

// Decodes and validates a record. The error is kInvalid (not a request, absent or wrong fields) or kExhausted (a limit
// was passed; the message names it). Where enough of the record was readable to know who asked, `partial` (may be
// null) receives it, so that a refusal can be addressed. Pure; any thread.
Result<Request> DecodeRequest(const Record& record, Request* partial = nullptr);

// For producers (the command line, tests): the record that carries `request` in its form, to `topic`.
OutRecord EncodeRequest(const Request& request, const std::string& topic);

// [A-Za-z0-9._-], 1 to kMaxIdentifierBytes bytes.
bool IsIdentifier(std::string_view text);

}  // namespace hearth
