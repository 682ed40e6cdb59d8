// A request that was accepted is within its limits and survives being written and read again.
#include "schemas/request.h"

#include "schemas/limits.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hearth;
  const fuzz::Bounded bounded(3);
  const Record record = fuzz::ParseRecord(fuzz::View(data, size));
  Refusal refusal;
  const auto request = DecodeRequest(record, &refusal);
  if (!request) {
    fuzz::Must(!request.error().message.empty(), "a refusal says why");
    const auto name = [](const std::string& text) { return text.empty() || IsIdentifier(text); };
    fuzz::Must(name(refusal.request.user.value) && name(refusal.request.function.value) &&
                   name(refusal.request.reply_to) &&
                   (refusal.request.id.empty() || IsInvocationId(refusal.request.id.value, refusal.request.form)),
               "a refusal carries no name that was not checked");
    return 0;
  }
  fuzz::Must(IsInvocationId(request->id.value, request->form) && IsIdentifier(request->user.value) &&
                 IsIdentifier(request->function.value),
             "names are identifiers");
  fuzz::Must(request->payload.size() <= kMaxPayloadBytes, "the payload is within its limit");
  const OutRecord sent = EncodeRequest(*request, "t");
  const auto again = DecodeRequest(Record{{"t", 0}, 0, 0, sent.key, sent.value, sent.headers});
  fuzz::Must(again.has_value(), "what was written is read");
  fuzz::Must(again->id == request->id && again->user == request->user && again->function == request->function &&
                 again->reply_to == request->reply_to && again->expires_ms == request->expires_ms &&
                 again->timeout_ms == request->timeout_ms,
             "it reads the same");
  return 0;
}
