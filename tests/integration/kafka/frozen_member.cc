// A member of a group that a test can stop and wake: frozen_member BOOTSTRAP GROUP TOPIC INSTANCE. It says "assigned"
// once it owns a partition; for each line that it reads it commits, and says "accepted" or "refused".
#include <unistd.h>

#include <array>
#include <cstdio>

#include "tests/integration/executor/run_until.h"
#include "tests/integration/kafka/member.h"

namespace {

constexpr std::int64_t kAssignedWithinMs = 60'000;
constexpr std::int64_t kLongestTestMs = 300'000;

void Say(const char* word) {
  std::puts(word);
  std::fflush(stdout);
}

void Obey(hearth::kafka::Member& member, const std::string& topic) {
  std::array<char, 16> line{};
  while (std::fgets(line.data(), line.size(), stdin) != nullptr) {
    Say(member.CommitNow({topic, 0}, 1, "frozen") ? "accepted" : "refused");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: %s BOOTSTRAP GROUP TOPIC INSTANCE\n", argv[0]);
    return 2;
  }
  hearth::Loop loop;
  const std::string topic = argv[3];
  constexpr std::int64_t kSessionMs = 3000;
  hearth::kafka::Membership membership{argv[1], "frozen", argv[2], {topic}, argv[4]};
  const bool named = !membership.instance.empty();
  if (named) membership.session_ms = kSessionMs;
  hearth::kafka::Member member(loop, std::move(membership));
  if (!hearth::executor::RunUntil(loop, kAssignedWithinMs, [&] { return !member.assigned.empty(); })) return 1;
  Say("assigned");
  if (!named) {
    Obey(member, topic);
  } else {
    hearth::executor::RunUntil(loop, kLongestTestMs, [] { return false; });
  }
  _exit(0);  // without a farewell to the group
}
