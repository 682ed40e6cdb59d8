#include "tools/hearth/waiting.h"

#include <algorithm>
#include <utility>

#include "common/base/time.h"
#include "schemas/topics.h"
#include "tools/hearth/directory.h"

namespace hearth::tool {
namespace {

constexpr std::int64_t kTurnMs = 200;  // in which the topics are read by turns
constexpr int kLettersPerTurn = 1000;
constexpr std::int64_t kLookAfterMs = 3000;  // without a reply it is looked who is there
constexpr std::int64_t kLookMs = 500;        // as long may Redis take

}  // namespace

std::string WhoSeemsMissing(const Context& context) {
  if (context.redis.empty()) return "";
  auto redis = ConnectRedis(context, kLookMs);
  const auto directory = redis ? ReadDirectory(*redis) : std::unexpected(redis.error());
  return directory ? WhoIsMissing(*directory) : "";
}

Result<void> Waiting::Open() {
  auto replies = Tail(request_.reply_to);
  if (!replies) return std::unexpected(replies.error());
  replies_ = std::move(*replies);
  if (request_.reply_to == TopicName(Topic::kReply)) return {};
  if (auto dead = Tail(std::string(TopicName(Topic::kDeadLetter)))) dead_letters_ = std::move(*dead);
  return {};
}

Answer Waiting::Wait(std::int64_t seconds) {
  progress_.Say("waiting for the reply of " + request_.function.value);
  const std::int64_t begin_us = ReadClocks().mono_us;
  const std::int64_t deadline_us = begin_us + seconds * kMicrosPerSecond;
  std::int64_t look_us = begin_us + kLookAfterMs * kMicrosPerMilli;
  while (true) {
    const std::int64_t now_us = ReadClocks().mono_us;
    const std::int64_t left_ms = (deadline_us - now_us) / kMicrosPerMilli;
    if (left_ms <= 0) return {};
    if (now_us >= look_us) {
      Look();
      look_us = now_us + kLookAfterMs * kMicrosPerMilli;
    }
    if (auto result = NextReply(std::min(left_ms, kTurnMs))) return {std::move(result), ""};
    if (auto why = GivenUp(); !why.empty()) return {std::nullopt, std::move(why)};
  }
}

Result<kafka::TailReader> Waiting::Tail(const std::string& topic) const {
  return kafka::TailReader::Open(context_.bootstrap.value, "hearth-cli", topic, kServerTimeoutMs);
}

std::optional<InvocationResult> Waiting::NextReply(std::int64_t timeout_ms) {
  auto reply = replies_->Next(timeout_ms);
  if (!reply) {
    Say(reply.error().message);  // brokers come back; the deadline ends it
    return std::nullopt;
  }
  if (!*reply || (*reply)->key != request_.id.str()) return std::nullopt;
  auto result = DecodeReply(**reply);
  if (!result || !Answers(*result, request_)) return std::nullopt;  // another's, under the same id
  return std::move(*result);
}

std::string Waiting::GivenUp() {
  for (int i = 0; dead_letters_ && i < kLettersPerTurn; ++i) {
    const auto letter = dead_letters_->Next(0);
    if (!letter || !*letter) return "";
    const auto request = DecodeRequest(**letter);
    if (!request || request->id != request_.id || request->user != request_.user) continue;
    const auto header = [&](std::string_view name) {
      const auto found = std::ranges::find((*letter)->headers, name, &Header::name);
      return found == (*letter)->headers.end() ? "" : found->value;
    };
    return header("hearth-dead-reason") + ": " + header("hearth-dead-error");
  }
  return "";
}

void Waiting::Look() {
  if (!context_.redis.empty()) Say(WhoSeemsMissing(context_));
}

void Waiting::Say(std::string what) {
  missing_ = std::move(what);
  progress_.Note(missing_);
}

}  // namespace hearth::tool
