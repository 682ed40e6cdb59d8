#include "tools/hearth/terminal.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <memory>

#include "common/base/fd.h"

namespace hearth::tool {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

constexpr std::int64_t kSoonMs = 5;
constexpr int kDeadlineMs = 20'000;

// A pipe or a terminal: what is written at one end is read at the other.
class Wire {
 public:
  static Wire Pipe() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    return {ends[0], ends[1]};
  }
  static Wire Terminal() {
    const int ours = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    EXPECT_EQ(grantpt(ours), 0);
    EXPECT_EQ(unlockpt(ours), 0);
    const int theirs = open(ptsname(ours), O_RDWR | O_NOCTTY | O_CLOEXEC);
    termios settings{};
    EXPECT_EQ(tcgetattr(theirs, &settings), 0);
    cfmakeraw(&settings);  // a newline stays one
    EXPECT_EQ(tcsetattr(theirs, TCSANOW, &settings), 0);
    return {ours, theirs};
  }
  std::FILE* file() { return file_.get(); }
  // All that came, once `text` is among it.
  std::string Until(std::string_view text) {
    while (seen_.find(text) == std::string::npos) {
      if (!More(kDeadlineMs)) {
        ADD_FAILURE() << "'" << text << "' does not come; there is: " << seen_;
        break;
      }
    }
    return seen_;
  }
  std::string Rest() {
    std::fflush(file());
    while (More(0)) {}
    return seen_;
  }

 private:
  Wire(int reader, int writer) : reader_(reader), file_(fdopen(writer, "w"), &std::fclose) {}
  bool More(int patience_ms) {
    pollfd wait{reader_.get(), POLLIN, 0};
    if (poll(&wait, 1, patience_ms) != 1) return false;
    char bytes[4096];
    const auto count = read(reader_.get(), bytes, sizeof bytes);
    if (count <= 0) return false;
    seen_.append(bytes, static_cast<std::size_t>(count));
    return true;
  }

  Fd reader_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::string seen_;
};

TEST(Output, EndsWithANewlineOnATerminalOnly) {
  for (const std::string output : {"", "{}", "{}\n"}) {
    auto pipe = Wire::Pipe();
    WriteOutput(pipe.file(), output);
    EXPECT_EQ(pipe.Rest(), output);
    auto terminal = Wire::Terminal();
    WriteOutput(terminal.file(), output);
    EXPECT_EQ(terminal.Rest(), output.empty() ? "" : "{}\n");
  }
}

TEST(Progress, NamesWhatIsWaitedForHowLongAndWhy) {
  EXPECT_EQ(ProgressText("waiting", 0, ""), "waiting");
  EXPECT_EQ(ProgressText("waiting", 3, ""), "waiting (3 s)");
  EXPECT_EQ(ProgressText("waiting", 3, "no dispatcher is there"), "waiting (3 s): no dispatcher is there");
}

TEST(Progress, IsCutBetweenLetters) {
  EXPECT_EQ(FitLine("hello", 10), "hello");
  EXPECT_EQ(FitLine("hello", 2), "he");
  EXPECT_EQ(FitLine("h\xc3\xa4llo", 2), "h\xc3\xa4");
  EXPECT_EQ(FitLine("\xff\xff", 1), "\xff");
  EXPECT_EQ(FitLine("", 0), "");
}

TEST(Progress, GetsALineForEachThingWhereThereIsNoTerminal) {
  auto pipe = Wire::Pipe();
  Progress progress(pipe.file(), Progress::Kind::kLines, kSoonMs);
  progress.Say("storing");
  pipe.Until("hearth: storing\n");
  progress.Say("registering");
  pipe.Until("hearth: registering\n");
  progress.Note("kafka is away");
  const auto all = pipe.Until("kafka is away\n");
  EXPECT_EQ(all.find("storing"), all.rfind("storing")) << "told once: " << all;
}

TEST(Progress, IsOneLineOnATerminalThatVanishes) {
  auto terminal = Wire::Terminal();
  Progress progress(terminal.file(), Progress::Kind::kTerminal, kSoonMs);
  progress.Say("waiting\x1b[2J");
  EXPECT_THAT(terminal.Until("J"), HasSubstr("\r\x1b[Kwaiting\\x1b[2J"));
  progress.Stop();
  EXPECT_THAT(terminal.Rest(), EndsWith("\r\x1b[K"));
}

TEST(Progress, SaysNothingWhereItIsSilentOrSoonOver) {
  auto pipe = Wire::Pipe();
  {
    Progress silent(pipe.file(), Progress::Kind::kSilent, 0);
    silent.Say("waiting");
    Progress brief(pipe.file(), Progress::Kind::kLines, kDeadlineMs);
    brief.Say("waiting");
  }
  EXPECT_EQ(pipe.Rest(), "");
}

}  // namespace
}  // namespace hearth::tool
