// What the tests of the Kafka adapters share: the address of a real broker, and topics of a test's own.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "common/base/time.h"
#include "common/kafka/admin.h"
#include "common/loop/loop.h"
#include "tests/integration/executor/run_until.h"

namespace hearth::kafka {

constexpr std::int64_t kPatienceMs = 60'000;  // a rebalance may have to wait for a session to time out

class BrokerTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* address = std::getenv("HEARTH_BOOTSTRAP");
    ASSERT_NE(address, nullptr) << "no broker in HEARTH_BOOTSTRAP: tools/dev test --ring integration starts one";
    bootstrap_ = address;
  }

  // A name that no other run has.
  static std::string Unique(const std::string& what) {
    static int count = 0;
    return "it." + what + "." + std::to_string(getpid()) + "." + std::to_string(ReadClocks().wall_us) + "." +
           std::to_string(++count);
  }
  std::string MakeTopic(int partitions, std::vector<std::pair<std::string, std::string>> settings = {}) const {
    const std::string name = Unique("topic");
    auto created = CreateTopics(bootstrap_, {{name, partitions, 1, std::move(settings)}}, kPatienceMs);
    EXPECT_TRUE(created) << created.error().message;
    return name;
  }
  bool Until(const std::function<bool()>& holds) { return executor::RunUntil(loop_, kPatienceMs, holds); }

  std::string bootstrap_;
  Loop loop_;
};

}  // namespace hearth::kafka
