// The agent's one loop: frames from the executor, containers, the zygote, ended processes, deadlines.
#pragma once

#include <poll.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "guest/agent/code_cache.h"
#include "guest/agent/container.h"
#include "guest/agent/sys.h"
#include "guest/agent/zygote.h"
#include "schemas/frame.h"
#include "schemas/guest.h"

namespace hearth::guest {

// Container numbers that never reach the executor: those of empty containers, and of the warm-up's.
constexpr std::uint32_t kFirstEmpty = 0xfffffe00;
constexpr std::uint32_t kFirstWarmUp = 0xffffff00;
// A used empty container is replaced when nobody waits for another and the executor has said nothing for so long.
constexpr std::int64_t kRefillMicros = 20'000;
constexpr int kPreparePollMs = 2;
constexpr int kWarmUpTries = 6;                    // of all runtimes together
constexpr std::size_t kMaxUnsentBytes = 8U << 20;  // beyond it nothing more is read from the executor
constexpr int kDisconnectedPollMs = 20;

class Agent {
 public:
  Agent(Fd port, Fd child_signals, Services services, std::unique_ptr<Zygote> zygote);

  // Runs for the machine's life; returns only what makes the machine useless.
  Error Loop();

 private:
  struct Wait {
    enum class Kind : std::uint8_t { kPort, kChildren, kZygote, kContainer };
    Kind kind = Kind::kPort;
    std::uint32_t container = 0;
    Channel::Source source = Channel::Source::kRuntime;
  };

  Result<void> StartWarmUp();
  void MakeWarmUp(std::uint32_t number);
  void WarmUpMessage(std::uint32_t number, const Message& message);
  void EndWarmUp();
  void SayHello();

  // One container of each runtime is kept ready that is nobody's yet.
  Result<std::uint32_t> MakeEmpty(Runtime runtime);
  Result<std::uint32_t> TakeEmpty(Runtime runtime);
  void Refill();
  void RefillWhenQuiet(std::int64_t now_us);
  [[nodiscard]] bool EmptyOnesStart() const;

  Result<void> ReadPort();
  Result<void> Take(std::string_view bytes);
  Result<void> WritePort();
  void GiveUp(std::uint32_t number, const std::string& reason);
  Result<void> Handle(Frame frame);
  void Bind(const Configure& configure);
  void MakeContainer(std::uint32_t number, Create create);
  void ReapChildren();
  // Those whose runs have ended, and whose answers are on their way. False: there is none.
  bool CheckContainers();
  void Route(std::uint32_t number, std::vector<Message> messages);
  void Send(std::uint32_t stream, Message message);
  template <class Step>
  void With(std::uint32_t number, Step step);
  [[nodiscard]] int PollTimeoutMs() const;

  Fd port_;
  Fd child_signals_;
  Fd random_;  // open before anybody waits: looking a path up costs more than what follows
  Services services_;
  std::unique_ptr<Zygote> zygote_;
  CodeCache codes_;
  FrameReader frames_;
  std::string unsent_;
  std::map<std::uint32_t, std::unique_ptr<Container>> containers_;
  std::vector<std::uint32_t> due_;          // of the step that runs: kept for its memory
  std::map<Runtime, std::uint32_t> empty_;  // their numbers; one may have died
  std::uint32_t last_serial_ = 0;
  std::optional<std::int64_t> refill_at_us_;
  std::vector<std::string> runtimes_;  // proved by a warm-up run
  const std::string boot_nonce_;
  int warming_ = 0;
  bool warm_up_due_ = true;
  bool preparing_ = false;  // warmed up; the executor hears of it once the empty containers are there
  int warm_up_tries_ = 0;   // left: on a busy host the zygote may not be ready in the time that a container has
  bool said_hello_ = false;
  bool connected_ = true;
  bool bound_ = false;
};

}  // namespace hearth::guest
