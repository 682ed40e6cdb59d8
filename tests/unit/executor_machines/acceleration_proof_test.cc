// What is kept of a proof of acceleration, and what a KVM device says before any machine is started.
#include <gtest/gtest.h>

#include "executor/machines/acceleration.h"

namespace hearth::executor {
namespace {

TEST(AccelerationProof, IsReadBack) {
  const AccelerationProof proof{"hash", "boot", "0:108:660", Acceleration::kTcg, "said \"no\"\n"};
  const auto decoded = DecodeProof(EncodeProof(proof));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(*decoded, proof);
}

TEST(AccelerationProof, RubbishIsNoProof) {
  EXPECT_FALSE(DecodeProof(""));
  EXPECT_FALSE(DecodeProof("[]"));
  EXPECT_FALSE(DecodeProof(R"({"image": 1})"));
  EXPECT_FALSE(DecodeProof(R"({"image": "h", "boot_id": "b", "device": "d", "acceleration": "warp", "reason": ""})"));
}

TEST(KvmDevice, AbsenceIsTheReason) {
  const auto fault = KvmDeviceFault("/nonexistent/kvm");
  ASSERT_TRUE(fault);
  EXPECT_NE(fault->find("/nonexistent/kvm"), std::string::npos);
  EXPECT_FALSE(KvmDeviceFault("/dev/null"));
}

}  // namespace
}  // namespace hearth::executor
