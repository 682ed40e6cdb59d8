// Machines of the real image through the real libvirt and QEMU: boot to HELLO, reconciliation, and the proof of KVM.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <optional>

#include "executor/machines/acceleration.h"
#include "tests/integration/executor/machine_fixture.h"

namespace hearth::executor {
namespace {

namespace fs = std::filesystem;

class MachineTest : public MachineFixture {
 protected:
  void MakeFleet() {
    Fleet::Callbacks callbacks;
    callbacks.ready = [this](const MachineId&, StartPath path, guest::Hello hello) {
      path_ = path;
      hello_ = std::move(hello);
    };
    callbacks.failed = [this](const MachineId&, std::string reason) { failed_ = std::move(reason); };
    callbacks.lost = [this](const MachineId&, std::string reason) { lost_ = std::move(reason); };
    callbacks.frame = [this](const MachineId&, guest::Frame frame) { frames_.push_back(std::move(frame)); };
    callbacks.destroyed = [this](const MachineId&) { ++destroyed_; };
    fleet_ =
        std::make_unique<Fleet>(loop_, *hypervisor_, *starter_, image_, Options("first-life"), std::move(callbacks));
  }

  Result<AccelerationProver::Outcome> Prove(AccelerationProver::Options options) {
    options.proof_file = (folder_ / "acceleration.json").string();
    options.fleet = Options("prover");
    if (as_root_) options.fleet.first_account.reset();
    std::optional<Result<AccelerationProver::Outcome>> outcome;
    const AccelerationProver prover(loop_, *hypervisor_, image_, std::move(options),
                                    [&outcome](auto proved) { outcome = std::move(proved); });
    EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [&outcome] { return outcome.has_value(); }));
    return outcome.value_or(Fail(Code::kDeadline, "no outcome"));
  }

  std::string failed_, lost_;
  StartPath path_ = StartPath::kNone;
  std::optional<guest::Hello> hello_;
  std::vector<guest::Frame> frames_;
  int destroyed_ = 0;
  bool as_root_ = false;  // the prover's machine runs under libvirt's account
};

TEST_F(MachineTest, BootsSaysHelloAnswersPingsAndLeavesNothing) {
  MakeFleet();
  const MachineId machine("boots");
  fleet_->Start(machine, Profile{}, true);
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return hello_ || !failed_.empty(); }))
      << "neither HELLO nor failure";
  ASSERT_TRUE(hello_) << failed_;
  EXPECT_EQ(path_, StartPath::kBoot);
  EXPECT_EQ(hello_->boot_nonce.size(), 32U);
  EXPECT_GT(hello_->memory_bytes, 0);

  fleet_->Send(machine, {0, guest::Ping{7}});
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return !frames_.empty(); }));
  const auto* pong = std::get_if<guest::Pong>(&frames_.front().message);
  ASSERT_NE(pong, nullptr);
  EXPECT_EQ(pong->sequence, 7U);

  fleet_->MarkOwner(machine, UserId("alice"));
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] {
    const auto domains = Listed();
    return domains.size() == 1 && domains[0].mark.user == UserId("alice");
  }));

  fleet_->Destroy(machine);
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return destroyed_ == 1; }));
  EXPECT_TRUE(Listed().empty());
  EXPECT_TRUE(fs::is_empty(folder_ / "run"));
}

TEST_F(MachineTest, TheNextLifeDestroysWhatTheEarlierLeft) {
  MakeFleet();
  fleet_->Start(MachineId("left"), Profile{}, true);
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return hello_ || !failed_.empty(); }));
  ASSERT_TRUE(hello_) << failed_;

  FleetOptions next = Options("second-life");
  Fleet second(loop_, *hypervisor_, *starter_, image_, next, Fleet::Callbacks{});
  std::optional<Result<std::size_t>> strays;
  second.Reconcile([&strays](auto count) { strays = std::move(count); });
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&strays] { return strays.has_value(); }));
  ASSERT_TRUE(*strays) << strays->error().message;
  EXPECT_EQ(**strays, 1U);
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return !lost_.empty(); })) << "the link must notice";
}

TEST_F(MachineTest, DestroyWhileStartingLeavesNoDomain) {
  MakeFleet();
  fleet_->Start(MachineId("hasty"), Profile{}, true);
  fleet_->Destroy(MachineId("hasty"));
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return destroyed_ == 1; }));
  EXPECT_TRUE(Listed().empty());
  EXPECT_FALSE(hello_);
}

TEST_F(MachineTest, AMachineThatCannotStartIsReportedWithTheReason) {
  image_.kernel = (folder_ / "no-kernel").string();
  MakeFleet();
  fleet_->Start(MachineId("broken"), Profile{}, true);
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return !failed_.empty(); }));
  EXPECT_FALSE(hello_);
}

TEST_F(MachineTest, AutoProvesKvmOrSaysWhyNotAndRemembersIt) {
  const auto first = Prove({});
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_FALSE(first->reason.empty());
  EXPECT_TRUE(Listed().empty());
  RecordProperty("acceleration", std::string(AccelerationName(first->acceleration)));
  RecordProperty("reason", first->reason);
  if (KvmDeviceFault("/dev/kvm")) {
    EXPECT_EQ(first->acceleration, Acceleration::kTcg);
    EXPECT_FALSE(fs::exists(folder_ / "acceleration.json")) << "an absent device needs no proof";
    return;
  }
  std::ifstream file(folder_ / "acceleration.json");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto proof = DecodeProof(text);
  ASSERT_TRUE(proof) << proof.error().message;
  EXPECT_EQ(proof->acceleration, first->acceleration);
  // The second answer comes from the file: a machine that cannot exist is not missed.
  image_.kernel = (folder_ / "no-kernel").string();
  const auto second = Prove({});
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->acceleration, first->acceleration);
}

// A device that QEMU may open can abort it or hang its guest: the proof ends all the same, with nothing left behind.
TEST_F(MachineTest, TheProofEndsWhereQemuMayOpenTheDevice) {
  as_root_ = true;
  const auto outcome = Prove({});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_FALSE(outcome->reason.empty());
  RecordProperty("reason", outcome->reason);
  EXPECT_TRUE(Listed().empty());
}

TEST_F(MachineTest, AKvmThatRunsNothingFallsBackWithTheReason) {
  image_.kernel = (folder_ / "no-kernel").string();
  AccelerationProver::Options options;
  options.device = "/dev/null";  // opens, as such a device does
  const auto outcome = Prove(options);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->acceleration, Acceleration::kTcg);
  EXPECT_NE(outcome->reason.find("does not start under it"), std::string::npos) << outcome->reason;

  options.choice = AccelerationChoice::kKvm;
  EXPECT_FALSE(Prove(options)) << "KVM was demanded";
  options.choice = AccelerationChoice::kAuto;
  options.require_kvm = true;
  EXPECT_FALSE(Prove(options)) << "KVM was required";
  options.choice = AccelerationChoice::kTcg;
  options.require_kvm = false;
  const auto chosen = Prove(options);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->acceleration, Acceleration::kTcg);
}

}  // namespace
}  // namespace hearth::executor
