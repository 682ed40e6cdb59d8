// Events and effects of a core that the test plays: their order, and what is answered from inside a step.
#include "common/daemon/stepper.h"

#include <gtest/gtest.h>

#include <string>

namespace hearth {
namespace {

struct Say {
  std::string what;
};
struct Ask {
  std::string what;
};
using Event = std::string;
using Effect = std::variant<Say, Ask>;

// A core that says each event, asks for what follows where the event ends in '?', and hears the answer as an event.
class SteppedTest : public testing::Test {
 protected:
  void Handle(const Event& event) {
    stepper_.Push(event);
    Run();
  }
  bool Run() {
    return stepper_.Run(
        [this](const Event& event, std::vector<Effect>& effects) {
          log_ += "(" + event;
          if (event.ends_with('?')) effects.emplace_back(Ask{event.substr(0, event.size() - 1)});
          effects.emplace_back(Say{event});
          log_ += ")";
        },
        [this](auto& effect) { Do(effect); },
        [this] {
          log_ += ".";
          if (!last_word_.empty()) stepper_.Push(std::exchange(last_word_, ""));
        });
  }
  void Do(const Say& say) { log_ += say.what; }
  void Do(const Ask& ask) { Handle(ask.what); }  // answered at once

  Stepper<Event, Effect> stepper_;
  std::string log_;
  std::string last_word_;
};

TEST_F(SteppedTest, EffectsAreCarriedOutBeforeTheNextEvent) {
  stepper_.Push("a");
  stepper_.Push("b");
  EXPECT_EQ(log_, "") << "nothing runs before it is told to";
  EXPECT_TRUE(Run());
  EXPECT_EQ(log_, "(a)a(b)b.");
}

TEST_F(SteppedTest, WhatAnEffectAnswersWaitsForTheStepToEnd) {
  Handle("a?");
  EXPECT_EQ(log_, "(a?)a?(a)a.");
}

TEST_F(SteppedTest, AnswersWaitBehindWhatWasThereBefore) {
  stepper_.Push("a?");
  stepper_.Push("b");
  Run();
  EXPECT_EQ(log_, "(a?)a?(b)b(a)a.");
}

TEST_F(SteppedTest, WhatIsDoneAtTheEndMayGoOn) {
  last_word_ = "z";
  Handle("a");
  EXPECT_EQ(log_, "(a)a.(z)z.");
}

TEST_F(SteppedTest, WithoutEventsNothingIsDone) {
  EXPECT_TRUE(Run());
  EXPECT_EQ(log_, "");
}

TEST(Stepper, SaysWhetherItRan) {
  Stepper<int, std::variant<Say>> stepper;
  stepper.Push(1);
  bool inside = true;
  const auto step = [&](int, std::vector<std::variant<Say>>&) {
    inside = stepper.Run([](int, std::vector<std::variant<Say>>&) { FAIL(); }, [](Say&) { FAIL(); });
  };
  EXPECT_TRUE(stepper.Run(step, [](Say&) {}));
  EXPECT_FALSE(inside);
}

}  // namespace
}  // namespace hearth
