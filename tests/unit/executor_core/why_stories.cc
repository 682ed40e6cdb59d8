// What a reply says of how the executor found its container, after the dispatcher's own words.
#include <map>

#include "schemas/why.h"
#include "tests/unit/executor_core/core_stories.h"

namespace hearth::executor {
namespace {

class Whys : public Story {
 protected:
  // The words of the next reply, which is then delivered.
  std::map<std::string, std::string> Words() {
    std::map<std::string, std::string> words;
    for (const auto& effect : effects) {
      const auto* publish = std::get_if<Publish>(&effect);
      if (publish == nullptr) continue;
      for (const auto& header : publish->record->headers) {
        if (header.name != "hearth-why") continue;
        EXPECT_LE(header.value.size(), kMaxWhyBytes);
        for (auto& [key, value] : ParseWhy(header.value)) words[key] = value;
      }
    }
    Published();
    return words;
  }
};

TEST_F(Whys, AReplyNamesTheRungAndTheReason) {
  Boot();
  Connect();
  auto exec = MakeExec(0);
  exec.why = "decided=rendezvous expected=pool";
  Exec(exec);
  End(UntilRun());
  auto words = Words();
  EXPECT_EQ(words.at("decided"), "rendezvous");
  EXPECT_EQ(words.at("rung"), "pool");
  EXPECT_EQ(words.at("because"), "pool");
  EXPECT_EQ(words.count("first"), 0U);

  Exec(MakeExec(1));
  End(*TakeFrame<guest::Run>());
  words = Words();
  EXPECT_EQ(words.at("rung"), "container");
  EXPECT_EQ(words.at("because"), "idle_container");
  EXPECT_EQ(words.at("lease_us"), "0");
}

TEST_F(Whys, WhatItWaitedForIsNamed) {
  Connect();
  Exec(MakeExec(0));  // the pool's machine starts
  now.mono_us += 5000;
  now.wall_us += 5000;
  Boot();
  End(UntilRun());
  const auto words = Words();
  EXPECT_EQ(words.at("rung"), "pool");
  EXPECT_EQ(words.at("first"), "await_machine");
  EXPECT_EQ(words.at("first_because"), "machine_starting");
  EXPECT_EQ(words.at("lease_us"), "5000");
}

class QuietTraces : public Story {
 protected:
  static Settings Quiet() {
    Settings settings = Defaults();
    settings.detailed_traces = false;
    return settings;
  }
  QuietTraces() : Story(Quiet()) {}
};

TEST_F(QuietTraces, HoldWhatIsCountedAndNoNames) {
  Boot();
  Connect();
  Exec(MakeExec(0));
  End(UntilRun());
  std::map<Trace::Kind, int> count;
  while (const auto tally = Take<Tally>()) {
    ++count[tally->kind];
    if (tally->kind != Trace::Kind::kEnded) continue;
    EXPECT_EQ(tally->path, StartPath::kPool);
    EXPECT_NE(tally->times.ended_us, 0);
  }
  while (const auto trace = Take<Trace>()) EXPECT_EQ(trace->kind, Trace::Kind::kMachineMoved);
  EXPECT_EQ(count[Trace::Kind::kAccepted], 1);
  EXPECT_EQ(count[Trace::Kind::kStarted], 1);
  EXPECT_EQ(count[Trace::Kind::kEnded], 1);
  EXPECT_EQ(count[Trace::Kind::kContainerMoved], 4) << "made, leased, ended, ready";
}

TEST_F(Whys, ADispatchersLongLineLeavesRoomForOurWords) {
  Boot();
  Connect();
  auto exec = MakeExec(0);
  exec.why = "a=1 b=" + std::string(5000, 'x');
  Exec(exec);
  End(UntilRun());
  const auto words = Words();
  EXPECT_EQ(words.at("a"), "1");
  EXPECT_EQ(words.count("b"), 0U);
  EXPECT_EQ(words.at("rung"), "pool");
}

}  // namespace
}  // namespace hearth::executor
