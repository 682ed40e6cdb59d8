// A member of a group that a test can stop and wake: frozen_member BOOTSTRAP GROUP TOPIC. It says "assigned" once it
// owns its partition; for each line that it reads it commits, and says "accepted" or "refused".
#include <unistd.h>

#include <array>
#include <cstdio>

#include "tests/integration/executor/run_until.h"
#include "tests/integration/kafka/member.h"

namespace {

constexpr std::int64_t kAssignedWithinMs = 60'000;

void Say(const char* word) {
  std::puts(word);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s BOOTSTRAP GROUP TOPIC\n", argv[0]);
    return 2;
  }
  hearth::Loop loop;
  const std::string topic = argv[3];
  hearth::kafka::Member member(loop, argv[1], "frozen", argv[2], topic);
  if (!hearth::executor::RunUntil(loop, kAssignedWithinMs, [&] { return member.assigned.size() == 1; })) return 1;
  Say("assigned");
  std::array<char, 16> line{};
  while (std::fgets(line.data(), line.size(), stdin) != nullptr) {
    Say(member.CommitNow({topic, 0}, 1, "frozen") ? "accepted" : "refused");
  }
  _exit(0);  // without a farewell to the group
}
