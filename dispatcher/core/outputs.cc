#include "dispatcher/core/outputs.h"

#include <algorithm>
#include <utility>

#include "common/base/sha256.h"
#include "common/base/text.h"
#include "schemas/result.h"

namespace hearth::dispatcher {
namespace {

constexpr std::size_t kMaxCutHeaderBytes = 256;

// The value goes, and its length and hash stay; headers are cut. What is left fits into any topic.
SharedRecord CutToFit(const SharedRecord& whole) {
  OutRecord record = *whole;
  record.headers.push_back({"hearth-cut-value-bytes", std::to_string(record.value.size())});
  record.headers.push_back({"hearth-cut-value-sha256", Sha256Hex(record.value)});
  record.value.clear();
  record.value.shrink_to_fit();
  record.key = CutText(record.key, kMaxCutHeaderBytes);
  for (Header& header : record.headers) {
    header.value = CutText(header.value, kMaxCutHeaderBytes);
  }
  return Share(std::move(record));
}

}  // namespace

void Outputs::Assign(std::vector<Output> outputs) {
  outputs_ = std::move(outputs);
  next_ = 0;
}

void Outputs::Delivered() {
  outputs_[next_++].record.reset();
  failures_ = 0;
}

Outputs::Remedy Outputs::Refused(const std::string& error, bool permanent, const std::string& undeliverable_topic) {
  Output& output = outputs_[next_];
  if (output.kind == Output::Kind::kReply) {
    output.kind = Output::Kind::kUndeliverable;
    OutRecord record = *output.record;
    MarkUndeliverable(record, error);
    record.topic = undeliverable_topic;
    output.record = Share(std::move(record));
    return Remedy::kSend;
  }
  if (permanent) {
    if (!std::exchange(output.cut, true)) {
      output.record = CutToFit(output.record);
      return Remedy::kSend;
    }
    Delivered();
    return Remedy::kLetGo;
  }
  backoff_ms_ = std::min(kMaxRetryMs, kProduceRetryMs << std::min(failures_, 10));
  ++failures_;
  return Remedy::kBackOff;
}

}  // namespace hearth::dispatcher
