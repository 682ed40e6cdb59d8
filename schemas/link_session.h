// The two ends of an open link: frames with the memory of one session. A dispatcher describes a function once and names
// it by a number from then on; the executor gives each Exec the function that its number stands for. Both forget all of
// it with the connection. Not thread-safe; no input or output.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "schemas/link.h"

namespace hearth::link {

// Functions that have a number at a time, on each side of each link. A further one takes the number that was given
// longest ago, whose function is described again when it is needed again.
constexpr std::uint32_t kMaxNumberedFunctions = 1024;

// The dispatcher's end. Functions are told apart by their objects: one that was deployed anew is described anew.
class SessionWriter {
 public:
  // As AppendLinkMessage. An Exec gets its number, and a description goes before it where it has none yet. After an
  // error the connection must be closed.
  [[nodiscard]] Result<void> Append(std::string& out, Message& message);

 private:
  [[nodiscard]] Result<void> Number(std::string& out, Exec& exec);

  std::vector<std::shared_ptr<const Function>> by_number_;
  std::unordered_map<const Function*, std::uint32_t> numbers_;
  std::uint32_t next_ = 0;  // the number that is given next
};

// The executor's end.
class SessionReader {
 public:
  // As DecodeLinkMessage. Nothing: the frame was a description, which is the session's own. After an error, which a
  // number that stands for nothing is too, the connection must be closed.
  [[nodiscard]] Result<std::optional<Message>> Decode(RawFrame raw);

 private:
  std::vector<std::shared_ptr<const Function>> by_number_;
};

}  // namespace hearth::link
