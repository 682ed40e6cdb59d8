// The two ends of an open link: functions are described once and named by number from then on.
#include "schemas/link_session.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "samples.h"

namespace hearth::link {
namespace {

std::shared_ptr<const Function> MakeFunction(std::int64_t version) {
  Function function = samples::SampleFunction();
  function.version = version;
  return std::make_shared<const Function>(std::move(function));
}

class Session : public testing::Test {
 protected:
  // How many frames one message became, and what came out at the other end.
  std::size_t Carry(Message message) {
    std::string bytes;
    EXPECT_TRUE(writer_.Append(bytes, message));
    FrameReader frames;
    EXPECT_TRUE(frames.Feed(bytes));
    std::size_t count = 0;
    while (auto raw = frames.Next()) {
      ++count;
      auto decoded = reader_.Decode(std::move(*raw));
      if (!decoded) {
        ADD_FAILURE() << decoded.error().message;
      } else if (*decoded) {
        received_.push_back(std::move(**decoded));
      }
    }
    return count;
  }
  std::size_t Exec(std::shared_ptr<const Function> function) {
    link::Exec exec;
    exec.function = std::move(function);
    return Carry(std::move(exec));
  }
  const Function& Last() { return *std::get<link::Exec>(received_.back()).function; }

  SessionWriter writer_;
  SessionReader reader_;
  std::vector<Message> received_;
};

RawFrame Cut(const Message& message) {
  std::string bytes;
  EXPECT_TRUE(AppendLinkMessage(bytes, message));
  FrameReader frames;
  EXPECT_TRUE(frames.Feed(bytes));
  return frames.Next().value();
}

TEST_F(Session, AFunctionIsDescribedOnce) {
  const auto first = MakeFunction(1);
  const auto second = MakeFunction(2);
  EXPECT_EQ(Exec(first), 2U);
  EXPECT_EQ(Exec(second), 2U);
  EXPECT_EQ(Last(), *second);
  EXPECT_EQ(Exec(first), 1U);
  EXPECT_EQ(Last(), *first);
  EXPECT_EQ(received_.size(), 3U);
  EXPECT_EQ(std::get<link::Exec>(received_[0]).function, std::get<link::Exec>(received_[2]).function) << "one object";
}

// The registry may say other things of a version: what is described is the object that was placed.
TEST_F(Session, AFunctionThatWasReadAnewIsDescribedAnew) {
  Exec(MakeFunction(1));
  Function other = *MakeFunction(1);
  other.memory_mib = 77;
  EXPECT_EQ(Exec(std::make_shared<const Function>(other)), 2U);
  EXPECT_EQ(Last().memory_mib, 77);
}

TEST_F(Session, TheOldestNumberIsUsedAgainByDescribingTheFunctionAgain) {
  std::vector<std::shared_ptr<const Function>> functions;
  for (std::uint32_t i = 0; i <= kMaxNumberedFunctions; ++i) functions.push_back(MakeFunction(i + 1));
  for (const auto& function : functions) EXPECT_EQ(Exec(function), 2U);
  EXPECT_EQ(Exec(functions.back()), 1U);
  EXPECT_EQ(Exec(functions[1]), 1U);
  EXPECT_EQ(Exec(functions[0]), 2U) << "its number went to the last one";
  EXPECT_EQ(Last(), *functions[0]);
  EXPECT_EQ(Exec(functions[1]), 2U) << "and its own is that of the second";
  EXPECT_EQ(Last(), *functions[1]);
  EXPECT_EQ(Exec(functions.back()), 1U);
  EXPECT_EQ(Last(), *functions.back());
}

TEST_F(Session, WhatWasReceivedOutlivesItsNumber) {
  Exec(MakeFunction(1));
  for (std::uint32_t i = 0; i < kMaxNumberedFunctions; ++i) Exec(MakeFunction(i + 2));
  EXPECT_EQ(std::get<link::Exec>(received_.front()).function->version, 1);
}

TEST_F(Session, OtherMessagesAreAsWithoutASession) {
  for (const auto& message : samples::LinkMessages()) {
    if (std::holds_alternative<link::Exec>(message) || std::holds_alternative<FunctionDescription>(message)) continue;
    EXPECT_EQ(Carry(message), 1U);
    EXPECT_EQ(received_.back().index(), message.index());
  }
}

TEST_F(Session, ANumberThatStandsForNothingIsRefused) {
  Exec(MakeFunction(1));
  for (const std::uint32_t number : {1U, kMaxNumberedFunctions, UINT32_MAX}) {
    link::Exec exec;
    exec.function_number = number;
    const auto decoded = reader_.Decode(Cut(exec));
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, Code::kInvalid);
    EXPECT_EQ(decoded.error().message,
              "function number " + std::to_string(number) + " was not described in this session");
  }
  EXPECT_TRUE(reader_.Decode(Cut(FunctionDescription{5, *MakeFunction(6)})));  // leaves a gap below it
  link::Exec exec;
  exec.function_number = 3;
  EXPECT_FALSE(reader_.Decode(Cut(exec)));
}

TEST_F(Session, ANumberBeyondTheLastIsRefusedAndTakesNoMemory) {
  EXPECT_TRUE(reader_.Decode(Cut(FunctionDescription{kMaxNumberedFunctions - 1, *MakeFunction(1)})));
  const auto decoded = reader_.Decode(Cut(FunctionDescription{kMaxNumberedFunctions, *MakeFunction(1)}));
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, Code::kInvalid);
}

TEST_F(Session, AnExecWithoutAFunctionIsNotSent) {
  std::string bytes;
  Message message = link::Exec{};
  EXPECT_FALSE(writer_.Append(bytes, message));
  EXPECT_EQ(bytes, "");
}

}  // namespace
}  // namespace hearth::link
