// Replies of strangers do not crash a reader, and whatever a function returns can be sent and read in every form.
#include "schemas/limits.h"
#include "schemas/result.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hearth;
  const fuzz::Bounded bounded(11);
  const auto text = fuzz::View(data, size);
  (void)DecodeReply(fuzz::ParseRecord(text));
  if (size > kMaxOutputBytes) return 0;
  InvocationResult result;
  result.id = InvocationId("i");
  result.user = UserId("u");
  result.function = FunctionName("f");
  result.output = text;
  result.log_tail = text.substr(0, kMaxLogTailBytes);
  result.error_message = text.substr(0, kMaxErrorMessageBytes);
  for (std::uint8_t form = 0; form < 5; ++form) {
    const OutRecord sent = EncodeReply(result, static_cast<RequestForm>(form), "t");
    const auto got = DecodeReply(Record{{"t", 0}, 0, 0, sent.key, sent.value, sent.headers});
    fuzz::Must(got.has_value(), "a reply is read");
    fuzz::Must(got->id == result.id && got->status == result.status, "it reads the same");
  }
  return 0;
}
