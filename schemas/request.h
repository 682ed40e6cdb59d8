// What a caller asks for, in the forms in which it may come. The reference for producers is schemas/README.md.
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
  InvocationId id;  // see IsInvocationId; never empty after decoding: where the caller chose none, that of its place
  UserId user;
  FunctionName function;
  std::string reply_to;   // empty: the default reply topic
  std::string order_key;  // empty: no order
  std::string traceparent;
  std::string content_type;
  std::int64_t expires_ms = 0;  // ms since the epoch; 0: never
  std::int64_t timeout_ms = 0;  // 0: the function's own
  std::string payload;          // opaque bytes
};

// Whom a record that is no good request came from. The request holds names that passed their checks, and nothing else.
struct Refusal {
  Request request;
  bool answerable = false;  // id (if any), user and reply topic (if any) could be read
};

// Decodes and validates a record. The error is kInvalid (not a request, absent or wrong fields) or kExhausted (a limit
// was passed; the message names it); then `refusal` (may be null) says whom to answer. In every form the last of equal
// fields counts, null is absent, and a trace that is none is left out. Pure; any thread.
Result<Request> DecodeRequest(const Record& record, Refusal* refusal = nullptr);

// For producers (the command line, tests): the record that carries `request` in its form, to `topic`.
OutRecord EncodeRequest(const Request& request, const std::string& topic);

// [A-Za-z0-9._-], 1 to kMaxIdentifierBytes bytes.
bool IsIdentifier(std::string_view text);
// What may name an invocation: an identifier; in the forms of CloudEvents any text of at most kMaxEventIdBytes bytes
// without control characters.
bool IsInvocationId(std::string_view text, RequestForm form);
// "<topic>-<partition>-<offset>": of a request without an id.
InvocationId IdOfPlace(const Record& record);

// Headers that hearth itself adds to records that it gives up. They are not the sender's: they count against no limit,
// and do not pile up when such a record is sent again.
bool IsHearthsOwnHeader(std::string_view name);

}  // namespace hearth
