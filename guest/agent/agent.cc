#include "guest/agent/agent.h"

#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ranges>
#include <variant>

#include "guest/agent/boot.h"
#include "guest/agent/runtimes.h"
#include "schemas/limits.h"

namespace hearth::guest {
namespace {

constexpr const char* kAgentVersion = "0.1.0";
constexpr std::int32_t kWarmUpTimeoutMs = 100'000;  // the executor has limits of its own
constexpr std::size_t kEntropyBytes = 64;
constexpr const char* kWarmUpArchive = "/runtime/usr/lib/hearth/warm-up.tar";
const CodeHash kWarmUpCode(std::string(64, '0'));  // of no archive that anybody knows

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

[[maybe_unused]] Result<void> MixEntropy(const Fd& random, const std::string& entropy) {
  struct {  // rand_pool_info with room for its bytes
    int bits = 0, size = 0;
    std::array<char, kEntropyBytes> bytes{};
  } pool;
  const std::size_t size = std::min(entropy.size(), kEntropyBytes);
  std::memcpy(pool.bytes.data(), entropy.data(), size);
  pool.size = static_cast<int>(size);
  pool.bits = pool.size * 8;
  if (ioctl(random.get(), RNDADDENTROPY, &pool) != 0) return FailErrno("RNDADDENTROPY");
  if (ioctl(random.get(), RNDRESEEDCRNG) != 0) return FailErrno("RNDRESEEDCRNG");
  return {};
}

// Touches all memory that can be written. What was shared with a forked child since is copied now, and not when
// somebody waits.
void OwnPages() {
  const auto maps = ReadFile("/proc/self/maps");
  if (!maps) return;
  const auto page_bytes = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  for (const auto line : std::views::split(*maps, '\n')) {
    const std::string text(line.begin(), line.end());
    std::uintptr_t at = 0, end = 0;
    char rights[5] = {};
    if (std::sscanf(text.c_str(), "%lx-%lx %4s", &at, &end, rights) != 3) continue;
    if (std::string_view(rights) != "rw-p") continue;
    for (; at < end; at += page_bytes) {
      // NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel's list has addresses
      auto* byte = reinterpret_cast<volatile char*>(at);
      *byte = *byte;
    }
  }
}

// The clock that it has, and bytes of its own: what Configure brings goes the same way.
[[maybe_unused]] void RehearseConfigure(const Fd& random) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  clock_settime(CLOCK_REALTIME, &now);
  (void)MixEntropy(random, RandomHex(kEntropyBytes / 2));
}

}  // namespace

Agent::Agent(Fd port, Fd child_signals, Services services, std::unique_ptr<Zygote> zygote)
    : port_(std::move(port)),
      child_signals_(std::move(child_signals)),
      random_(open("/dev/urandom", O_WRONLY | O_CLOEXEC)),
      services_(std::move(services)),
      zygote_(std::move(zygote)),
      codes_(kCodeRoot),
      boot_nonce_(RandomHex(16)) {
  services_.zygote = zygote_.get();
}

// Runs each runtime once before the executor hears of this machine, in the way in which a user's function comes: the
// pages are in memory, emulated code is translated, and the way is proved.
Result<void> Agent::StartWarmUp() {
  warm_up_due_ = false;
  if (said_hello_) RehearseConfigure(random_);
  const Fd archive(open(kWarmUpArchive, O_RDONLY | O_CLOEXEC));
  struct stat info{};
  if (!archive || fstat(archive.get(), &info) != 0) return FailErrno(kWarmUpArchive);
  std::string frames;
  auto framed = AppendGuestFrame(frames, {0, CodeOffer{kWarmUpCode, info.st_size}});
  std::string bytes(kMaxCodeChunkBytes, '\0');
  for (ssize_t n = 0; framed && (n = read(archive.get(), bytes.data(), bytes.size())) > 0;)
    framed = AppendGuestFrame(frames, {0, CodeChunk{bytes.substr(0, static_cast<std::size_t>(n))}});
  if (!framed) return framed;
  if (auto taken = Take(frames); !taken) return taken;
  runtimes_.clear();
  warming_ = static_cast<int>(kGuestRuntimes.size());
  warm_up_tries_ = kWarmUpTries;
  for (std::uint32_t i = 0; i < kGuestRuntimes.size(); ++i) MakeWarmUp(kFirstWarmUp + i);
  return {};
}

void Agent::MakeWarmUp(std::uint32_t number) {
  const GuestRuntime& guest = kGuestRuntimes.at(number - kFirstWarmUp);
  Create create;
  create.function = "hearth/warm-up";
  create.runtime = guest.runtime;
  create.handler = guest.warm_up_handler;
  create.memory_mib = kDefaultMemoryMib;
  create.code = kWarmUpCode;
  MakeContainer(number, std::move(create));
}

void Agent::WarmUpMessage(std::uint32_t number, const Message& message) {
  if (const auto* created = std::get_if<Created>(&message)) {
    if (!created->error.empty()) {
      Note("warm-up: " + created->error);
      if (warm_up_tries_-- > 0) return MakeWarmUp(number);
      --warming_;
    } else {
      Run run;
      run.id = InvocationId("warm-up");
      run.timeout_ms = kWarmUpTimeoutMs;
      run.input = "[1]";
      With(number, [&](Container& container, std::vector<Message>& out) {
        container.Start(std::move(run), MonotonicMicros(), out);
      });
    }
  } else if (const auto* ended = std::get_if<Ended>(&message)) {
    if (ended->status == Status::kOk && ended->output == "[1]")
      runtimes_.emplace_back(RuntimeName(kGuestRuntimes.at(number - kFirstWarmUp).runtime));
    else
      Note("warm-up: " + ended->error_type + ": " + ended->error_message + "\n" + ended->log_tail);
  } else if (std::holds_alternative<Checked>(message)) {
    With(number, [](Container& container, std::vector<Message>& out) { container.Remove("warmed up", out); });
  } else if (const auto* gone = std::get_if<ContainerGone>(&message)) {
    if (gone->reason != "warmed up") Note("warm-up: " + gone->reason);
    --warming_;
  }
  if (warming_ > 0) return;
  std::ranges::sort(runtimes_, std::greater());
  Refill();
  preparing_ = true;
}

void Agent::EndWarmUp() {
  preparing_ = false;
  codes_.Forget(kWarmUpCode);
  OwnPages();
  if (said_hello_)
    Send(0, Warmed{runtimes_});
  else
    SayHello();
}

Result<std::uint32_t> Agent::MakeEmpty(Runtime runtime) {
  // One whose code comes next finds it there.
  const auto code_folder = codes_.NextFolder();
  if (!code_folder) return std::unexpected(code_folder.error());
  auto made = Container::MakeEmpty(services_, ++last_serial_, runtime, *code_folder);
  if (!made) return std::unexpected(made.error());
  std::uint32_t number = kFirstEmpty;
  while (containers_.contains(number)) ++number;  // few: those that wait and those that die
  containers_.emplace(number, std::move(*made));
  return number;
}

Result<std::uint32_t> Agent::TakeEmpty(Runtime runtime) {
  if (const auto taken = empty_.extract(runtime)) {
    const auto found = containers_.find(taken.mapped());
    if (found != containers_.end() && !found->second->dying()) return taken.mapped();
  }
  return MakeEmpty(runtime);
}

void Agent::Refill() {
  refill_at_us_.reset();
  for (const GuestRuntime& guest : kGuestRuntimes) {
    const bool proved = std::ranges::find(runtimes_, RuntimeName(guest.runtime)) != runtimes_.end();
    if (empty_.contains(guest.runtime) || !proved) continue;
    if (const auto made = MakeEmpty(guest.runtime))
      empty_.emplace(guest.runtime, *made);
    else
      Note("empty container: " + made.error().message);  // the next Create tries again and says why
  }
}

void Agent::RefillWhenQuiet(std::int64_t now_us) {
  if (std::ranges::any_of(containers_, [now_us](const auto& entry) { return entry.second->busy(now_us); }))
    refill_at_us_ = now_us + kRefillMicros;
  else
    Refill();
}

bool Agent::EmptyOnesStart() const {
  return std::ranges::any_of(empty_, [this](const auto& entry) {
    const auto found = containers_.find(entry.second);
    return found != containers_.end() && !found->second->prepared() && !found->second->dying();
  });
}

void Agent::SayHello() {
  struct sysinfo info{};
  sysinfo(&info);
  Hello hello;
  hello.agent_version = kAgentVersion;
  hello.boot_nonce = boot_nonce_;
  hello.runtimes = runtimes_;
  hello.memory_bytes = static_cast<std::int64_t>(info.totalram) * info.mem_unit;
  said_hello_ = true;
  Send(0, std::move(hello));
}

Error Agent::Loop() {
  std::vector<pollfd> fds;
  std::vector<Wait> waits;
  std::vector<Channel::Source> sources;
  for (;;) {
    if (warm_up_due_ && frames_.buffered_bytes() == 0) {
      if (auto started = StartWarmUp(); !started) return started.error();
    }
    fds.clear();
    waits.clear();
    const bool full = unsent_.size() > kMaxUnsentBytes;
    if (connected_) {
      fds.push_back({port_.get(), static_cast<short>((full ? 0 : POLLIN) | (unsent_.empty() ? 0 : POLLOUT)), 0});
      waits.push_back({Wait::Kind::kPort, 0, {}});
    }
    fds.push_back({child_signals_.get(), POLLIN, 0});
    waits.push_back({Wait::Kind::kChildren, 0, {}});
    if (zygote_) {
      fds.push_back({zygote_->fd(), POLLIN, 0});
      waits.push_back({Wait::Kind::kZygote, 0, {}});
    }
    for (const auto& [number, container] : containers_) {
      sources.clear();
      container->AddPolls(fds, sources);
      for (const auto source : sources) waits.push_back({Wait::Kind::kContainer, number, source});
    }
    if (poll(fds.data(), fds.size(), PollTimeoutMs()) < 0 && errno != EINTR) return FailErrno("poll").error();
    if (!connected_) {
      pollfd probe{port_.get(), POLLIN, 0};
      poll(&probe, 1, 0);
      connected_ = (probe.revents & POLLHUP) == 0;
      // Another executor, or the clone of a machine that said Hello before it was saved: it has not heard us.
      if (connected_ && said_hello_) SayHello();
    }
    for (std::size_t i = 0; i < fds.size(); ++i) {
      if (fds[i].revents == 0) continue;
      const Wait& wait = waits[i];
      switch (wait.kind) {
        case Wait::Kind::kPort:
          if ((fds[i].revents & POLLIN) != 0) {
            if (auto done = ReadPort(); !done) return done.error();
          }
          if ((fds[i].revents & POLLHUP) != 0) {
            connected_ = false;
            frames_ = FrameReader();
            unsent_.clear();
          }
          break;
        case Wait::Kind::kChildren: ReapChildren(); break;
        case Wait::Kind::kZygote: {
          auto reports = zygote_->Receive();
          if (!reports) return reports.error();
          for (const auto& report : *reports) {
            const auto found = std::ranges::find_if(
                containers_, [&](const auto& entry) { return entry.second->serial() == report.container; });
            if (found == containers_.end()) continue;
            With(found->first, [&](Container& container, std::vector<Message>& out) {
              container.ProcessExited(report.wait_status, out);
            });
          }
          break;
        }
        case Wait::Kind::kContainer:
          With(wait.container,
               [&](Container& container, std::vector<Message>& out) { container.Readable(wait.source, out); });
          break;
      }
    }
    const std::int64_t now = MonotonicMicros();
    due_.clear();
    for (const auto& [number, container] : containers_) {
      if (container->wake_at_us() && *container->wake_at_us() <= now) due_.push_back(number);
    }
    for (const std::uint32_t number : due_) {
      With(number, [&](Container& container, std::vector<Message>& out) { container.Tick(now, out); });
    }
    if (preparing_ && !EmptyOnesStart()) EndWarmUp();
    if (connected_) {
      if (auto done = WritePort(); !done) return done.error();
    }
    if (CheckContainers() && connected_) {
      if (auto done = WritePort(); !done) return done.error();
    }
    // Nobody waits for an answer now.
    if (unsent_.empty()) {
      if (refill_at_us_ && *refill_at_us_ <= now) RefillWhenQuiet(now);
      for (const auto& [number, container] : containers_) container->Prepare();
    }
  }
}

bool Agent::CheckContainers() {
  due_.clear();
  for (const auto& [number, container] : containers_) {
    if (container->checking()) due_.push_back(number);
  }
  for (const std::uint32_t number : due_) {
    With(number, [](Container& container, std::vector<Message>& out) { container.CheckAfterRun(out); });
  }
  return !due_.empty();
}

int Agent::PollTimeoutMs() const {
  // Refilling waits until the executor has read its answers: POLLOUT tells.
  std::int64_t wake = unsent_.empty() ? refill_at_us_.value_or(INT64_MAX) : INT64_MAX;
  for (const auto& [number, container] : containers_) {
    if (container->wake_at_us()) wake = std::min(wake, *container->wake_at_us());
  }
  int timeout = preparing_ ? kPreparePollMs : connected_ ? -1 : kDisconnectedPollMs;
  if (wake != INT64_MAX) {
    const auto until = static_cast<int>(std::clamp<std::int64_t>((wake - MonotonicMicros() + 999) / 1000, 0, 60'000));
    timeout = timeout < 0 ? until : std::min(timeout, until);
  }
  return timeout;
}

Result<void> Agent::ReadPort() {
  std::array<char, 65536> block;  // not zeroed: that would cost more than most reads
  const ssize_t n = read(port_.get(), block.data(), block.size());
  if (n < 0 && errno != EAGAIN && errno != EINTR) return FailErrno("read port");
  if (n <= 0) return {};
  return Take({block.data(), static_cast<std::size_t>(n)});
}

Result<void> Agent::Take(std::string_view bytes) {
  if (auto fed = frames_.Feed(bytes); !fed) return fed;
  while (auto raw = frames_.Next()) {
    const std::uint32_t number = raw->stream;
    auto frame = DecodeGuestFrame(std::move(*raw));
    if (!frame && number == 0) return std::unexpected(frame.error());
    if (!frame) {
      GiveUp(number, frame.error().message);
      continue;
    }
    if (auto done = Handle(std::move(*frame)); !done) return done;
  }
  return {};
}

// What was asked of the container cannot be read. It alone goes, and the executor hears why.
void Agent::GiveUp(std::uint32_t number, const std::string& reason) {
  if (number >= kFirstEmpty) return;
  if (!containers_.contains(number)) return Send(number, ContainerGone{reason});
  With(number, [&](Container& container, std::vector<Message>& out) { container.Remove(reason, out); });
}

Result<void> Agent::WritePort() {
  while (!unsent_.empty()) {
    const ssize_t n = write(port_.get(), unsent_.data(), unsent_.size());
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return {};
    if (n < 0) return FailErrno("write port");
    unsent_.erase(0, static_cast<std::size_t>(n));
  }
  return {};
}

Result<void> Agent::Handle(Frame frame) {
  const std::uint32_t number = frame.stream;
  const std::int64_t received_us = MonotonicMicros();
  if (refill_at_us_ && !std::holds_alternative<Ping>(frame.message)) refill_at_us_ = received_us + kRefillMicros;
  return std::visit(
      Overloaded{
          [&](Configure& configure) -> Result<void> {
            if (!bound_) Bind(configure);
            return {};
          },
          [&](CodeOffer& offer) -> Result<void> {
            auto offered = codes_.Offer(offer.hash, offer.bytes);
            if (!offered) Send(0, CodeStored{offer.hash, offered.error().message});
            return {};
          },
          [&](CodeChunk& chunk) -> Result<void> {
            const CodeHash hash = codes_.receiving();
            if (hash.empty()) return {};  // the rest of a transfer that failed, and was answered
            auto whole = codes_.Feed(chunk.bytes);
            if (!whole)
              Send(0, CodeStored{hash, whole.error().message});
            else if (*whole && hash != kWarmUpCode)
              Send(0, CodeStored{hash, {}});
            return {};
          },
          [&](Create& create) -> Result<void> {
            if (number == 0 || number >= kFirstEmpty || containers_.contains(number)) {
              Send(number, Created{"container number is taken"});
            } else if (!bound_) {
              Send(number, Created{"the instance belongs to no user yet"});
            } else {
              MakeContainer(number, std::move(create));
            }
            return {};
          },
          [&](Run& run) -> Result<void> {
            if (number >= kFirstEmpty || !containers_.contains(number))
              Send(number, ContainerGone{"no such container"});
            With(number, [&](Container& container, std::vector<Message>& out) {
              container.Start(std::move(run), received_us, out);
            });
            return {};
          },
          [&](Remove&) -> Result<void> {
            if (!containers_.contains(number)) Send(number, ContainerGone{"no such container"});
            With(number, [](Container& container, std::vector<Message>& out) { container.Remove("removed", out); });
            return {};
          },
          [&](Greet&) -> Result<void> {
            if (said_hello_) SayHello();
            return {};
          },
          [&](WarmUp&) -> Result<void> {
            if (!bound_ && warming_ == 0 && !preparing_) warm_up_due_ = true;
            return {};
          },
          [&](Ping& ping) -> Result<void> {
            Send(number, Pong{ping.sequence});
            return {};
          },
          [](auto&) -> Result<void> { return Fail(Code::kInvalid, "a frame that only agents send"); },
      },
      frame.message);
}

void Agent::Bind(const Configure& configure) {
  bound_ = true;
  const timespec now{configure.wall_us / 1'000'000, configure.wall_us % 1'000'000 * 1000};
  if (clock_settime(CLOCK_REALTIME, &now) != 0) Note("cannot set the clock");
  if (auto mixed = MixEntropy(random_, configure.entropy); !mixed) Note(mixed.error().message);
  services_.secret = configure.machine.str() + " " + RandomHex(kEntropyBytes);
  Send(0, Configured{RandomHex(16)});
}

void Agent::MakeContainer(std::uint32_t number, Create create) {
  const auto refuse = [&](const Error& error) { Route(number, {Created{error.message}}); };
  const std::string* code = codes_.Find(create.code);
  if (code == nullptr) return refuse({Code::kNotFound, "code is not stored"});
  if (auto checked = Container::Check(create); !checked) return refuse(checked.error());
  const auto taken = TakeEmpty(create.runtime);
  if (!taken) return refuse(taken.error());
  if (!preparing_ && warming_ == 0) refill_at_us_ = MonotonicMicros() + kRefillMicros;
  auto entry = containers_.extract(*taken);
  std::vector<Message> out;
  if (auto filled = entry.mapped()->Fill(number, std::move(create), *code, out); !filled) {
    if (!entry.mapped()->gone()) containers_.insert(std::move(entry));  // it dies under the number that it had
    Route(*taken, std::move(out));
    return refuse(filled.error());
  }
  entry.key() = number;
  containers_.insert(std::move(entry));
  Route(number, std::move(out));
}

void Agent::ReapChildren() {
  signalfd_siginfo info{};
  while (read(child_signals_.get(), &info, sizeof info) == sizeof info) {}
  int status = 0;
  for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
    const auto found = std::ranges::find_if(containers_, [&](const auto& entry) {
      return entry.second->holder_pid() == pid || entry.second->process_pid() == pid;
    });
    if (found == containers_.end()) continue;
    const bool holder = found->second->holder_pid() == pid;
    With(found->first, [&](Container& container, std::vector<Message>& out) {
      if (holder)
        container.HolderExited(out);
      else
        container.ProcessExited(status, out);
    });
  }
}

template <class Step>
void Agent::With(std::uint32_t number, Step step) {
  const auto found = containers_.find(number);
  if (found == containers_.end()) return;
  std::vector<Message> out;
  step(*found->second, out);
  if (found->second->gone()) containers_.erase(found);
  Route(number, std::move(out));
}

void Agent::Route(std::uint32_t number, std::vector<Message> messages) {
  for (auto& message : messages) {
    if (number >= kFirstWarmUp)
      WarmUpMessage(number, message);
    else if (number >= kFirstEmpty)
      Note("empty container: " + std::get<ContainerGone>(message).reason);  // it has nothing else to say
    else
      Send(number, std::move(message));
  }
}

void Agent::Send(std::uint32_t stream, Message message) {
  if (!connected_) return;
  if (auto framed = AppendGuestFrame(unsent_, {stream, std::move(message)}); !framed)
    GiveUp(stream, framed.error().message);
}

}  // namespace hearth::guest
