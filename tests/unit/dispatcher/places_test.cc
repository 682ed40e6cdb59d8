// Places by themselves, and against the filters that they stand for.
#include "dispatcher/core/places.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "dispatcher/core/executors.h"

namespace hearth::dispatcher {
namespace {

using Standing = Places::Standing;

TEST(Places, TheLargestThatSomebodyTakesNowDecides) {
  Places places;
  const auto kind = places.KindOf("default", Runtime::kPython3);
  EXPECT_EQ(places.WhyNot(kind, 128), "no_executor");
  const Places::Part small{Standing::kFree, {{kind, 256, Standing::kFree}}, 4, {}};
  const Places::Part large{Standing::kFull, {{kind, 512, Standing::kFull}}, 4, {}};
  places.Add(small);
  places.Add(large);
  EXPECT_TRUE(places.Fits(kind, 256));
  EXPECT_FALSE(places.Fits(kind, 257));
  EXPECT_EQ(places.WhyNot(kind, 257), "credit");
  EXPECT_EQ(places.WhyNot(kind, 513), "memory");
  EXPECT_TRUE(places.IsPossible(kind, 512));
  EXPECT_FALSE(places.IsPossible(kind, 513));
  EXPECT_EQ(places.credit(), 8);
  const auto version = places.version();
  places.Remove(large);
  EXPECT_FALSE(places.IsPossible(kind, 512));
  EXPECT_GT(places.version(), version);
  EXPECT_EQ(places.WhyNot(places.KindOf("default", Runtime::kNative), 128), "runtime");
  EXPECT_EQ(places.WhyNot(places.KindOf("other", Runtime::kNative), 128), "profile");
  EXPECT_TRUE(places.Fits(Places::kAnywhere, 1'000'000));
}

TEST(Places, WhoWasNotCountedCannotBeTakenOut) {
  Places places;
  const auto kind = places.KindOf("default", Runtime::kPython3);
  EXPECT_DEATH(places.Remove({Standing::kFree, {{kind, 256, Standing::kFree}}, 4, {}}), "not counted");
}

// Whatever happens to executors, a place is there exactly if the filters leave somebody, and where they do not it is
// the same filter that is named.
TEST(Places, SayWhatTheFiltersSay) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    std::mt19937_64 random(seed);
    const auto roll = [&](int sides) { return static_cast<int>(random() % static_cast<std::uint64_t>(sides)); };
    std::vector<Effect> effects;
    Context context{Settings{}};
    Warm warm;
    Claims claims{context, warm};
    Executors executors{context, warm, claims};
    const auto pass = [&](std::int64_t ms) {
      context.Begin(Time{context.After(ms), 0}, effects);
      executors.Advance();
    };
    pass(1000);
    const auto profiles = [&] {
      std::vector<link::ProfileCapacity> all;
      for (const char* name : {"default", "large"}) {
        if (roll(3) == 0) continue;
        link::ProfileCapacity one;
        one.profile = name;
        one.container_mib = roll(3) * 256;
        if (roll(2) == 0) one.runtimes = {roll(2) == 0 ? "python3" : "native"};
        all.push_back(one);
      }
      return all;
    };
    std::map<std::string, int> placed;
    for (int i = 0; i < 400; ++i) {
      const std::string id = "e" + std::to_string(roll(3));
      Executor* executor = executors.Find(ExecutorId(id));
      switch (roll(9)) {
        case 0: {
          link::ExecutorHello hello;
          hello.executor = ExecutorId(id);
          hello.credit = 1 + roll(3);
          hello.draining = roll(5) == 0;
          hello.profiles = profiles();
          executors.Connect(hello);
          break;
        }
        case 1:
          if (executor != nullptr) executors.Disconnect(*executor);
          break;
        case 2:
        case 3:
          if (executor != nullptr && executor->connected()) {
            link::Heartbeat beat;
            beat.credit = 1 + roll(3);
            beat.held = executor->placed() + roll(2);
            beat.draining = roll(6) == 0;
            beat.profiles = profiles();
            (void)executors.Hear(*executor);
            executors.TakeHeartbeat(*executor, beat);
          }
          break;
        case 4:
          if (executor != nullptr) {
            executors.Place(*executor, UserId("u"), FunctionName("f"), 1, 128, {RequestClass::kBatch, true});
            ++placed[id];
          }
          break;
        case 5:
          if (placed[id] > 0) {
            --placed[id];
            executors.GiveBack(ExecutorId(id), UserId("u"), FunctionName("f"), 1, {RequestClass::kBatch, true});
          }
          break;
        case 6:
          if (executor != nullptr)
            executors.Cool(*executor, std::array{"", "default", "large"}[roll(3)], 20 + roll(300));
          break;
        case 7:
          if (executor != nullptr && !executor->connected() && placed[id] == 0) executors.Erase(ExecutorId(id));
          break;
        default: pass(roll(400));
      }
      for (const char* profile : {"default", "large", "none"}) {
        for (const Runtime runtime : {Runtime::kPython3, Runtime::kNative}) {
          for (const std::int32_t memory_mib : {64, 256, 257, 512, 600}) {
            Function function;
            function.user = UserId("u");
            function.profile = profile;
            function.runtime = runtime;
            function.memory_mib = memory_mib;
            std::vector<Candidate> candidates;
            for (const auto& [each, one] : executors.all()) candidates.push_back(executors.Describe(one, function));
            const Placement placement = dispatcher::Place({function.user, memory_mib}, candidates);
            Places& places = executors.places();
            const auto kind = places.KindOf(profile, runtime);
            ASSERT_EQ(places.Fits(kind, memory_mib), placement.executor.has_value())
                << "seed " << seed << " step " << i << " " << profile << " " << memory_mib << " "
                << placement.constraint;
            if (!placement.executor) {
              ASSERT_EQ(places.WhyNot(kind, memory_mib), placement.constraint) << "seed " << seed << " step " << i;
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace hearth::dispatcher
