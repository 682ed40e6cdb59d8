#include "schemas/link_session.h"

#include <utility>

namespace hearth::link {

Result<void> SessionWriter::Append(std::string& out, Message& message) {
  if (auto* exec = std::get_if<Exec>(&message)) {
    if (auto numbered = Number(out, *exec); !numbered) return numbered;
  }
  return AppendLinkMessage(out, message);
}

Result<void> SessionWriter::Number(std::string& out, Exec& exec) {
  if (exec.function == nullptr) return Fail(Code::kInternal, "an exec without a function");
  const auto [at, is_new] = numbers_.try_emplace(exec.function.get(), next_);
  exec.function_number = at->second;
  if (!is_new) return {};
  if (next_ == by_number_.size()) {
    by_number_.push_back(exec.function);
  } else {
    numbers_.erase(std::exchange(by_number_[next_], exec.function).get());
  }
  next_ = (next_ + 1) % kMaxNumberedFunctions;
  return AppendLinkMessage(out, FunctionDescription{exec.function_number, *exec.function});
}

Result<std::optional<Message>> SessionReader::Decode(RawFrame raw) {
  auto message = DecodeLinkMessage(std::move(raw));
  if (!message) return std::unexpected(message.error());
  if (auto* description = std::get_if<FunctionDescription>(&*message)) {
    const std::uint32_t number = description->number;
    if (number >= kMaxNumberedFunctions) {
      return Fail(Code::kInvalid, "function number " + std::to_string(number) + " is described; they end at " +
                                      std::to_string(kMaxNumberedFunctions - 1));
    }
    if (number >= by_number_.size()) by_number_.resize(number + 1);
    by_number_[number] = std::make_shared<const Function>(std::move(description->function));
    return std::nullopt;
  }
  if (auto* exec = std::get_if<Exec>(&*message)) {
    const std::uint32_t number = exec->function_number;
    if (number >= by_number_.size() || by_number_[number] == nullptr) {
      return Fail(Code::kInvalid, "function number " + std::to_string(number) + " was not described in this session");
    }
    exec->function = by_number_[number];
  }
  return std::move(*message);
}

}  // namespace hearth::link
