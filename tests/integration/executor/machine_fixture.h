// Machines of the real image through the real libvirt and QEMU, for tests that start some.
#pragma once

#include <grp.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "executor/machines/fleet.h"
#include "tests/integration/executor/low_descriptors.h"
#include "tests/integration/executor/run_until.h"

namespace hearth::executor {

constexpr std::int64_t kPatienceMs = 90'000;  // the first start of a libvirt probes QEMU, and the host may be loaded

inline std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// One libvirt for all tests: the embedded driver can be opened once in a process.
struct Host {
  std::filesystem::path folder;
  std::optional<LowDescriptors> low{std::in_place};
  Loop loop;
  MachineImage image;
  bool up = false;
  std::string reason;
  std::unique_ptr<Hypervisor> hypervisor;
};

class MachineFixture : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    host_ = std::make_unique<Host>();
    host_->low.reset();
    std::string pattern = "/tmp/hearth-m-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    host_->folder = pattern;
    std::filesystem::permissions(host_->folder, static_cast<std::filesystem::perms>(0755));
    auto image = LoadImage(Environment("HEARTH_IMAGE"));
    if (image && geteuid() == 0) image = StageImage(*image, host_->folder.string());
    if (!image) {
      host_->reason = "HEARTH_IMAGE must name the folder made by tools/dev image: " + image.error().message;
      return;
    }
    host_->image = std::move(*image);
    HypervisorOptions options;
    options.uri = Environment("HEARTH_LIBVIRT_URI");
    if (options.uri.empty()) options.uri = Embedded();
    host_->hypervisor = std::make_unique<Hypervisor>(
        options, [](std::function<void()> work) { host_->loop.Post(std::move(work)); },
        [](Hypervisor::State state, const std::string& reason) {
          host_->up = state == Hypervisor::State::kUp;
          host_->reason = reason;
        });
    RunUntil(host_->loop, kPatienceMs, [] { return host_->up; });
  }

  static void TearDownTestSuite() {
    host_->hypervisor.reset();
    std::error_code ignored;
    std::filesystem::remove_all(host_->folder, ignored);
    host_.reset();
  }

  // A libvirt inside this process, with a root of its own.
  static std::string Embedded() {
    std::filesystem::create_directories(host_->folder / "libvirt/etc");
    std::ofstream(host_->folder / "libvirt/etc/qemu.conf")
        << "user = \"root\"\ngroup = \"root\"\ndynamic_ownership = 0\nremember_owner = 0\n"
           "security_driver = \"none\"\nstdio_handler = \"file\"\nnamespaces = []\n";
    return "qemu:///embed?root=" + (host_->folder / "libvirt").string();
  }

  void SetUp() override {
    ASSERT_TRUE(host_->up) << host_->reason;
    folder_ = host_->folder / testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_ / "run");
    image_ = host_->image;
    starter_ = std::make_unique<BootStarter>(*hypervisor_);
  }

  void TearDown() override {
    if (fleet_ == nullptr) return;
    bool empty = false;
    fleet_->DestroyAll([&empty] { empty = true; });
    EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [&empty] { return empty; }));
    EXPECT_TRUE(Listed().empty());
  }

  FleetOptions Options(const std::string& incarnation) const {
    FleetOptions options;
    options.executor = ExecutorId("test-" + host_->folder.filename().string());
    options.incarnation = incarnation;
    options.run_dir = (folder_ / "run").string();
    options.start_within_ms = options.hello_within_ms = kPatienceMs;
    if (geteuid() == 0) {
      const group* kvm = getgrnam("kvm");
      options.first_account = MachineAccount{1'999'000'000, kvm != nullptr ? kvm->gr_gid : 65534};
    }
    return options;
  }

  std::vector<MarkedDomain> Listed() {
    std::optional<Result<std::vector<MarkedDomain>>> answer;
    hypervisor_->List([&answer](auto listed) { answer = std::move(listed); });
    EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [&answer] { return answer.has_value(); }));
    std::vector<MarkedDomain> own;
    for (const auto& domain : answer && *answer ? **answer : std::vector<MarkedDomain>{}) {
      if (domain.mark.executor == Options("").executor) own.push_back(domain);
    }
    return own;
  }

  static inline std::unique_ptr<Host> host_;
  std::filesystem::path folder_;
  Loop& loop_ = host_->loop;
  Hypervisor* hypervisor_ = host_->hypervisor.get();
  MachineImage image_;
  std::unique_ptr<BootStarter> starter_;
  std::unique_ptr<Fleet> fleet_;
};

}  // namespace hearth::executor
