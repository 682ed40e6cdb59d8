#include "dispatcher/core/replies.h"

#include <algorithm>
#include <utility>

#include "common/base/text.h"
#include "dispatcher/core/batch.h"
#include "dispatcher/core/partition.h"
#include "schemas/limits.h"
#include "schemas/result.h"

namespace hearth::dispatcher {
namespace {

constexpr std::string_view kDeadPrefix = "hearth-dead-";
constexpr std::size_t kMaxDeadMessageBytes = 1024;

}  // namespace

Output ReplyTo(const Invocation& invocation, const Function* function, Status status, std::string_view error_type,
               std::string_view message, std::string why, const Settings& settings) {
  const Request& request = invocation.request();
  InvocationResult result;
  result.id = request.id;
  result.user = request.user;
  result.function = request.function;
  result.version = function != nullptr ? function->version : 0;
  result.status = status;
  result.error_type = std::string(error_type);
  result.error_message = CutText(message, kMaxErrorMessageBytes);
  result.attempt = std::max(1, invocation.tries().failed() + invocation.tries().infrastructure_failures());
  result.start_path = invocation.path();
  result.times = invocation.times();
  result.epoch = invocation.partition().epoch();
  result.executor = invocation.executor();
  result.traceparent = request.traceparent;
  result.why = std::move(why);
  const link::ItemOfBatch* item = invocation.item();
  if (item != nullptr) {
    const Partition& partition = invocation.partition();
    OutRecord reply = EncodeReply(result, request.form, settings.batch_results_topic);
    MarkResult({{partition.batch()->ref, item->index}, item->item_id, item->generation}, reply);
    reply.partition = partition.id().partition;
    return {Output::Kind::kReply, Share(std::move(reply))};
  }
  return {Output::Kind::kReply,
          Share(EncodeReply(result, request.form, request.reply_to.empty() ? settings.reply_topic : request.reply_to))};
}

Output DeadLetterOf(const Invocation& invocation, std::string_view reason, std::string_view message,
                    const Settings& settings) {
  const Record& record = invocation.record();
  OutRecord out{settings.dead_letter_topic, record.key, record.value, {}, record.null_key, record.null_value};
  for (const Header& header : record.headers) {
    if (!IsHearthsOwnHeader(header.name)) out.headers.push_back(header);
  }
  const auto add = [&out](std::string_view name, std::string value) {
    out.headers.push_back({std::string(kDeadPrefix) + std::string(name), std::move(value)});
  };
  add("reason", std::string(reason));
  add("attempts", std::to_string(invocation.tries().failed() + invocation.tries().infrastructure_failures()));
  add("first-seen", std::to_string(invocation.times().received_us / kMicrosPerMilli));
  add("error", CutText(message, kMaxDeadMessageBytes));
  add("topic", record.partition.topic);
  add("partition", std::to_string(record.partition.partition));
  add("offset", std::to_string(record.offset));
  return {Output::Kind::kDeadLetter, Share(std::move(out))};
}

}  // namespace hearth::dispatcher
