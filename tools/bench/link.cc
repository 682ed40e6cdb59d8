#include "tools/bench/link.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <uv.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>

#include "common/base/time.h"
#include "common/loop/loop.h"
#include "executor/guest_link.h"
#include "tools/bench/figures.h"
#include "tools/bench/hand.h"
#include "tools/bench/processes.h"

namespace hearth::bench {
namespace {

constexpr int kWarmUp = 200;
constexpr std::int64_t kHelloWithinMs = 60'000;
constexpr std::int64_t kPongWithinMs = 10'000;

// A machine at the other end of the executor's guest link.
class Linked {
 public:
  static Result<std::unique_ptr<Linked>> Start(const std::string& image);
  ~Linked();
  Linked(const Linked&) = delete;
  Linked& operator=(const Linked&) = delete;
  Result<std::int64_t> Ping();  // µs

 private:
  Linked() = default;
  // Turns the loop until it holds; kDeadline, or what the link was lost for.
  Result<void> Until(const bool& holds, std::int64_t within_ms);

  std::string folder_;
  Loop loop_;
  std::unique_ptr<executor::GuestLink> link_;
  std::optional<Child> qemu_;
  bool hello_ = false;
  bool answered_ = false;
  std::string lost_;
  std::uint64_t sequence_ = 0;
};

Result<std::unique_ptr<Linked>> Linked::Start(const std::string& image) {
  std::unique_ptr<Linked> linked(new Linked());
  std::string folder = "/tmp/hearth-link-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr)
    return Fail(Code::kUnavailable, std::string("mkdtemp: ") + std::strerror(errno));
  linked->folder_ = folder;
  executor::GuestLink::Callbacks callbacks;
  callbacks.hello = [self = linked.get()](const guest::Hello&) { self->hello_ = true; };
  callbacks.frame = [self = linked.get()](const guest::Frame& frame) {
    const auto* pong = std::get_if<guest::Pong>(&frame.message);
    if (pong != nullptr && pong->sequence == self->sequence_) self->answered_ = true;
  };
  callbacks.lost = [self = linked.get()](const std::string& reason) { self->lost_ = reason; };
  auto link = executor::GuestLink::Listen(linked->loop_, folder + "/agent.sock", kHelloWithinMs, std::move(callbacks));
  if (!link) return std::unexpected(link.error());
  linked->link_ = std::move(*link);
  guest::MachineOptions options;
  options.image = image;
  auto arguments = guest::MachineArguments(options, folder);
  if (!arguments) return std::unexpected(arguments.error());
  auto qemu = Child::Spawn(*arguments, folder + "/qemu.log");
  if (!qemu) return std::unexpected(qemu.error());
  linked->qemu_ = std::move(*qemu);
  if (auto hello = linked->Until(linked->hello_, kHelloWithinMs); !hello) return FailWith("HELLO", hello.error());
  return linked;
}

Linked::~Linked() {
  link_.reset();
  qemu_.reset();
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

Result<void> Linked::Until(const bool& holds, std::int64_t within_ms) {
  bool late = false;
  Timer deadline(loop_, [&late] { late = true; });
  deadline.StartOnce(within_ms);
  while (!holds && !late && lost_.empty()) uv_run(loop_.raw(), UV_RUN_ONCE);
  if (holds) return {};
  return lost_.empty() ? Fail(Code::kDeadline, "no answer in time") : Fail(Code::kUnavailable, lost_);
}

Result<std::int64_t> Linked::Ping() {
  answered_ = false;
  const std::int64_t begin_us = ReadClocks().mono_us;
  link_->Send({0, guest::Ping{++sequence_}});
  while (!answered_ && lost_.empty() && ReadClocks().mono_us - begin_us < kPongWithinMs * kMicrosPerMilli)
    uv_run(loop_.raw(), UV_RUN_ONCE);
  if (!answered_) return Fail(Code::kDeadline, lost_.empty() ? "no answer in time" : lost_);
  return ReadClocks().mono_us - begin_us;
}

}  // namespace

int RunLink(const LinkOptions& options) {
  HoldSignals();
  const auto fail = [](int code, const Error& error) {
    fmt::print(stderr, "hearth-bench: {}\n", error.message);
    return code;
  };
  auto linked = Linked::Start(options.image);
  if (!linked) return fail(3, linked.error());
  auto machine = guest::Machine::Start(options.image);
  if (!machine) return fail(3, machine.error());
  if (auto hello = (*machine)->Expect<guest::Hello>(0, guest::kBootTimeout); !hello) return fail(3, hello.error());
  Hand hand(**machine);
  Series through;
  Series bare;
  for (int i = 0; i < kWarmUp + options.pings && !ToldToEnd(); ++i) {
    // They take turns in being first: whoever comes second finds the processor awake.
    std::optional<Result<std::int64_t>> bare_first;
    if (i % 2 == 1) bare_first = hand.Ping();
    auto one = (*linked)->Ping();
    auto other = bare_first ? *bare_first : hand.Ping();
    if (!one || !other) return fail(1, (one ? other : one).error());
    if (i < kWarmUp) continue;
    through.Add(*one);
    bare.Add(*other);
  }
  std::string frame;
  if (auto framed = guest::AppendGuestFrame(frame, {0, guest::Ping{static_cast<std::uint64_t>(options.pings)}});
      !framed)
    return fail(1, framed.error());
  fmt::print("\na frame of {} bytes to the agent and back; emulated machines (TCG) tell ratios only:\n\n",
             frame.size());
  Table table({"milliseconds", "n", "min", "p50", "p99"}, options.markdown);
  table.AddSeries("through the executor's guest link", through);
  table.AddSeries("bare, over a channel of the same kind", bare);
  const std::vector<Bound> bounds = {{"guest link ÷ bare", MedianRatio(through, bare), 1.2, false, "×"}};
  fmt::print("{}\n{}", table.Text(), BoundsText(bounds, options.markdown));
  return AllHeld(bounds) || !options.strict ? 0 : 1;
}

}  // namespace hearth::bench
