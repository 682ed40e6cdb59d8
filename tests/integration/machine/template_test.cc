// Machines by hand: a template saved over QEMU's monitor, its clones, and what goes wrong.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "common/base/handle.h"
#include "tools/machine/template.h"

namespace hearth::guest {
namespace {

std::string ImageFolder() {
  const char* set = std::getenv("HEARTH_IMAGE");
  return set != nullptr ? set : HEARTH_DEFAULT_IMAGE;
}

class TemplateTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto saved = MachineTemplate::Save(ImageFolder());
    ASSERT_TRUE(saved) << saved.error().message;
    template_ = std::move(*saved);
  }
  static void TearDownTestSuite() { template_.reset(); }
  void SetUp() override { ASSERT_NE(template_, nullptr) << "the template was not saved"; }

  static std::unique_ptr<Machine> Clone() {
    auto shell = template_->MakeShell();
    if (!shell) {
      ADD_FAILURE() << shell.error().message;
      return nullptr;
    }
    const auto activated = template_->Activate(**shell);
    EXPECT_TRUE(activated) << activated.error().message;
    return std::move(*shell);
  }

  static inline std::unique_ptr<MachineTemplate> template_;
};

TEST_F(TemplateTest, ClonesAnswerAndAreClones) {
  for (int i = 0; i < 2; ++i) {
    const auto clone = Clone();
    ASSERT_NE(clone, nullptr);
    clone->Send(0, Ping{41});
    const auto pong = clone->Expect<Pong>(0);
    ASSERT_TRUE(pong) << pong.error().message;
    EXPECT_EQ(pong->sequence, 41U);
    clone->Send(0, Greet{});
    const auto hello = clone->Expect<Hello>(0);
    ASSERT_TRUE(hello) << hello.error().message;
    EXPECT_EQ(hello->boot_nonce, template_->hello().boot_nonce) << "it booted instead of being filled";
    EXPECT_EQ(hello->runtimes, template_->hello().runtimes);
  }
}

TEST_F(TemplateTest, ACloneRunsCode) {
  const auto clone = Clone();
  ASSERT_NE(clone, nullptr);
  clone->Send(0, Configure{MachineId("clone"), UserId("alice"), 1'800'000'000'000'000, std::string(64, 'e')});
  const auto configured = clone->Expect<Configured>(0);
  ASSERT_TRUE(configured) << configured.error().message;
  const std::string archive = MakeUstar({{"app.py", "def handler(event, context):\n    return event\n", '0', 0644}});
  const auto stored = clone->Store(HashOf(archive), archive);
  ASSERT_TRUE(stored && stored->error.empty());
  clone->Send(1, Create{HashOf(archive), "alice/app", 1, Runtime::kPython3, "app.handler", 128, {}});
  const auto created = clone->Expect<Created>(1);
  ASSERT_TRUE(created && created->error.empty()) << (created ? created->error : created.error().message);
  clone->Send(1, guest::Run{InvocationId("one"), 1, 10'000, "", "", "[7]"});
  const auto ended = clone->Expect<Ended>(1);
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_EQ(ended->status, Status::kOk) << ended->error_message;
  EXPECT_EQ(ended->output, "[7]");
}

TEST_F(TemplateTest, TheMonitorSaysWhatIsWrong) {
  auto shell = template_->MakeShell();
  ASSERT_TRUE(shell) << shell.error().message;
  auto monitor = (*shell)->monitor();
  ASSERT_TRUE(monitor) << monitor.error().message;
  const auto unknown = (*monitor)->Execute("no-such-command");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::kInternal);
  EXPECT_NE(unknown.error().message.find("no-such-command"), std::string::npos) << unknown.error().message;
  const auto status = (*monitor)->Execute("query-status");
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(status->value("status", ""), "inmigrate") << "a shell waits for its state";
  EXPECT_EQ((*monitor)->commands(), 4) << "the end of the negotiation, the capability, and these two";
}

TEST_F(TemplateTest, AStateThatIsNoneEndsAsAFailure) {
  auto shell = template_->MakeShell();
  ASSERT_TRUE(shell) << shell.error().message;
  auto monitor = (*shell)->monitor();
  ASSERT_TRUE(monitor) << monitor.error().message;
  const std::unique_ptr<FILE, Deleter<std::fclose>> rubbish(std::tmpfile());
  ASSERT_NE(rubbish, nullptr);
  std::fputs("this was never a machine", rubbish.get());
  std::fflush(rubbish.get());
  const int descriptor = fileno(rubbish.get());
  ASSERT_EQ(lseek(descriptor, 0, SEEK_SET), 0);
  ASSERT_TRUE((*monitor)->GiveDescriptor("rubbish", descriptor));
  const auto begun = (*monitor)->Execute("migrate-incoming", {{"uri", "fd:rubbish"}});
  // QEMU either says that it failed, or ends.
  EXPECT_FALSE(begun && (*monitor)->AwaitMigration());
}

TEST(Template, NeedsAnImage) {
  const auto saved = MachineTemplate::Save("/no/such/image");
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, Code::kNotFound);
}

TEST(Monitor, NobodyListens) {
  const auto qmp = Qmp::Connect("/no/such/socket", std::chrono::milliseconds(1));
  ASSERT_FALSE(qmp);
  EXPECT_EQ(qmp.error().code, Code::kDeadline);
}

}  // namespace
}  // namespace hearth::guest
