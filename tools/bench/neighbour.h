// A user who sends a few requests a second while something else goes on, and beside each of them a record to a raw echo
// on the same broker: what of a slower answer is hearth's, and what the machine's. One thread; blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "tools/bench/load_client.h"
#include "tools/bench/load_functions.h"
#include "tools/bench/slowdown.h"

namespace hearth::bench {

class Neighbour {
 public:
  // `client` reads kReplyTopic and RawEcho::kReplies, and a RawEcho is there as long as this is. `rate`: a second.
  Neighbour(LoadClient& client, LoadFunction function, double rate, std::string prefix);

  struct Watching {
    // True ends it; asked all the time.
    std::function<Result<bool>()> over = [] { return Result<bool>(false); };
    // What comes back and is nobody's of here.
    LoadClient::OnReply other = [](std::string_view, std::string_view, std::string_view) {};
    // Every few seconds.
    std::function<void(const NeighbourFigures&)> told = [](const NeighbourFigures&) {};
  };
  // Until `over` says so, or the seconds have passed, and the last answers have come. kUnavailable: told to end; or
  // what `over` says.
  Result<NeighbourFigures> Run(double seconds, const Watching& watching);

 private:
  struct Waiting {
    AnswerFigures* figures = nullptr;
    std::int64_t due_us = 0;
  };
  Result<void> SendDue(AnswerFigures& figures, const char* topic, std::int64_t begin_us);

  LoadClient& client_;
  LoadFunction function_;
  double interval_us_;
  std::string prefix_;
  std::uint64_t number_ = 0;
  std::map<std::string, Waiting, std::less<>> waiting_;
};

}  // namespace hearth::bench
