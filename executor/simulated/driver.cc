#include "executor/simulated/driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "common/base/text.h"
#include "common/base/time.h"
#include "schemas/limits.h"

namespace hearth::executor {
namespace {

constexpr const char* kFailure = "SimulatedFailure";
constexpr const char* kNoContainer = "no such container";
constexpr std::size_t kNonceDigits = 32;
constexpr const char* kNotice = "machines are simulated: no user code runs, and results are made up";

// What one run does.
struct Plan {
  std::int64_t run_us = 0;
  std::int64_t output_bytes = 0;
  bool fails = false;
  bool dies = false;
};

// What the input asks for goes before what was drawn. Anything else in it is the input of a function that is not run.
void Obey(const std::string& input, Plan& plan) {
  if (input.size() > kMaxSimulateBytes || input.find("\"simulate\"") == std::string::npos) return;
  const auto json = nlohmann::json::parse(input, nullptr, false);
  if (!json.is_object() || !json.contains("simulate") || !json["simulate"].is_object()) return;
  const auto& wish = json["simulate"];
  const auto number = [&wish](const char* key, double most) -> std::optional<double> {
    const auto found = wish.find(key);
    if (found == wish.end() || !found->is_number()) return std::nullopt;
    return std::clamp(found->get<double>(), 0.0, most);
  };
  const auto flag = [&wish](const char* key, bool fallback) {
    const auto found = wish.find(key);
    return found != wish.end() && found->is_boolean() ? found->get<bool>() : fallback;
  };
  if (const auto ms = number("ms", kMaxDelayMs)) plan.run_us = static_cast<std::int64_t>(*ms * kMicrosPerMilli);
  if (const auto bytes = number("bytes", kMaxOutputBytes)) plan.output_bytes = static_cast<std::int64_t>(*bytes);
  plan.fails = flag("fail", plan.fails);
  plan.dies = flag("die", plan.dies);
}

// A text in JSON of so many bytes, its quotes included.
std::string MakeOutput(std::int64_t bytes) {
  if (bytes < 2) return "null";
  std::string output(static_cast<std::size_t>(bytes), 'x');
  output.front() = output.back() = '"';
  return output;
}

std::vector<std::string> AllRuntimes() {
  std::vector<std::string> names;
  for (const auto& row : kRuntimes) names.emplace_back(row.name);
  return names;
}

}  // namespace

SimulatedDriver::SimulatedDriver(Loop& loop, SimulatedSettings settings, Callbacks callbacks,
                                 std::shared_ptr<Readiness> readiness, Logger log)
    : loop_(loop),
      settings_(std::move(settings)),
      callbacks_(std::move(callbacks)),
      readiness_(std::move(readiness)),
      log_(std::move(log)),
      random_(settings_.seed),
      agenda_(loop) {}

SimulatedDriver::~SimulatedDriver() = default;

void SimulatedDriver::Open() {
  log_->warn("acceleration={}: {}", kSimulated, kNotice);
  readiness_->Remark("acceleration", fmt::format("{}: {}", kSimulated, kNotice));
  readiness_->Remark("isolation", "none: there are no machines");
  Opened opened{kSimulated, {}, false};
  for (const auto& row : kRuntimes) opened.runtimes.insert(row.runtime);
  agenda_.After(0, [this, opened = std::move(opened)] { callbacks_.opened(opened); });
}

void SimulatedDriver::Start(const MachineId& machine, const Profile& profile, bool) {
  if (closing_) return;
  machines_[machine] = std::make_unique<Machine>();
  agenda_.After(settings_.start.DrawMicros(random_),
                [this, machine, memory_mib = profile.memory_mib] { Started(machine, memory_mib); });
}

void SimulatedDriver::Started(const MachineId& machine, std::int32_t memory_mib) {
  const auto found = machines_.find(machine);
  if (found == machines_.end()) return;  // destroyed before
  if (DrawChance(random_, settings_.failed_starts_ppm)) {
    machines_.erase(found);
    return callbacks_.failed(machine, "simulated.failed_starts_ppm says so");
  }
  found->second->ready = true;
  guest::Hello hello;
  hello.agent_version = kSimulated;
  hello.boot_nonce = fmt::format("{:016x}{:016x}", random_(), random_());
  hello.runtimes = AllRuntimes();
  hello.memory_bytes = static_cast<std::int64_t>(memory_mib) << 20;
  callbacks_.ready(machine, StartPath::kBoot, std::move(hello));
}

void SimulatedDriver::Destroy(const MachineId& machine) {
  machines_.erase(machine);
  agenda_.After(0, [this, machine] { callbacks_.destroyed(machine); });
}

void SimulatedDriver::Die(const MachineId& machine) {
  if (machines_.erase(machine) > 0) callbacks_.lost(machine, "the simulated machine died");
}

void SimulatedDriver::Say(const MachineId& machine, const guest::Frame& frame) {
  if (!machines_.contains(machine)) return;
  std::string bytes;
  std::optional<RawFrame> raw;
  if (guest::AppendGuestFrame(bytes, frame) && reader_.Feed(bytes)) raw = reader_.Next();
  auto heard = raw ? guest::DecodeGuestFrame(std::move(*raw)) : Fail(Code::kInternal, "no frame");
  if (!heard) {
    machines_.erase(machine);
    return callbacks_.lost(machine, "the guest sent rubbish: " + heard.error().message);
  }
  callbacks_.frame(machine, std::move(*heard));
}

Result<void> SimulatedDriver::Send(const MachineId& machine, const guest::Frame& frame) {
  const auto found = machines_.find(machine);
  if (found == machines_.end() || !found->second->ready) return {};
  sent_.clear();
  if (auto appended = guest::AppendGuestFrame(sent_, frame); !appended) return appended;
  auto& containers = found->second->containers;
  const std::uint32_t stream = frame.stream;
  if (const auto* run = std::get_if<guest::Run>(&frame.message)) {
    BeginRun(machine, containers, stream, *run);
  } else if (std::holds_alternative<guest::Create>(frame.message)) {
    containers[stream] = {};
    agenda_.After(settings_.container.DrawMicros(random_), [this, machine, stream] { Created(machine, stream); });
  } else if (std::holds_alternative<guest::Remove>(frame.message)) {
    const bool known = containers.erase(stream) > 0;
    SayLater(machine, {stream, guest::ContainerGone{known ? "removed" : kNoContainer}});
  } else if (const auto* ping = std::get_if<guest::Ping>(&frame.message)) {
    SayLater(machine, {0, guest::Pong{ping->sequence}});
  } else if (std::holds_alternative<guest::Configure>(frame.message)) {
    SayLater(machine, {0, guest::Configured{std::string(kNonceDigits, '0')}});
  }
  return {};
}

SimulatedDriver::Machine::Container* SimulatedDriver::Find(const MachineId& machine, std::uint32_t container) {
  const auto found = machines_.find(machine);
  if (found == machines_.end()) return nullptr;
  const auto inside = found->second->containers.find(container);
  return inside == found->second->containers.end() ? nullptr : &inside->second;
}

void SimulatedDriver::Created(const MachineId& machine, std::uint32_t number) {
  Machine::Container* container = Find(machine, number);
  if (container == nullptr) return;  // removed before
  container->created = true;
  Say(machine, {number, guest::Created{}});
}

void SimulatedDriver::BeginRun(const MachineId& machine, std::map<std::uint32_t, Machine::Container>& containers,
                               std::uint32_t number, const guest::Run& run) {
  const auto found = containers.find(number);
  if (found == containers.end() || !found->second.created || found->second.busy) {
    return SayLater(machine, {number, guest::ContainerGone{kNoContainer}});
  }
  found->second.busy = true;
  Plan plan;
  plan.run_us = settings_.run.DrawMicros(random_);
  plan.output_bytes = settings_.output_bytes;
  plan.fails = DrawChance(random_, settings_.failed_runs_ppm);
  plan.dies = DrawChance(random_, settings_.deaths_ppm);
  Obey(run.input, plan);

  guest::Ended ended;
  ended.id = run.id;
  ended.attempt = run.attempt;
  const std::int64_t allowed_us = static_cast<std::int64_t>(run.timeout_ms) * kMicrosPerMilli;
  if (plan.run_us > allowed_us) {
    ended.status = Status::kTimeout;
  } else if (plan.fails) {
    ended.status = Status::kError;
    ended.error_type = kFailure;
    ended.error_message = "a simulated run was to fail";
  } else {
    ended.output = MakeOutput(plan.output_bytes);
  }
  ended.run_us = ended.total_us = std::min(plan.run_us, allowed_us);
  agenda_.After(ended.run_us, [this, machine, number, dies = plan.dies, ended = std::move(ended)]() mutable {
    if (dies) return Die(machine);
    Ended(machine, number, std::move(ended));
  });
}

void SimulatedDriver::Ended(const MachineId& machine, std::uint32_t number, guest::Ended ended) {
  Machine::Container* container = Find(machine, number);
  if (container == nullptr) return;  // removed meanwhile: its end is not told
  container->busy = false;
  const bool goes = ended.status == Status::kTimeout;  // what is killed is not used again
  const guest::Checked checked{ended.run_us, !goes};
  if (goes) machines_.at(machine)->containers.erase(number);
  Say(machine, {number, std::move(ended)});
  Say(machine, {number, checked});
  if (goes) Say(machine, {number, guest::ContainerGone{"it was killed"}});
}

void SimulatedDriver::SayLater(const MachineId& machine, guest::Frame frame) {
  agenda_.After(0, [this, machine, frame = std::move(frame)] { Say(machine, frame); });
}

void SimulatedDriver::SendArchive(const MachineId& machine, const CodeHash& hash, std::shared_ptr<const std::string>,
                                  std::function<void()> sent) {
  if (!machines_.contains(machine)) return;
  sent();
  SayLater(machine, {0, guest::CodeStored{hash, ""}});
}

void SimulatedDriver::Close(std::function<void()> done) {
  closing_ = true;
  machines_.clear();
  agenda_.Clear();
  loop_.Post(std::move(done));
}

}  // namespace hearth::executor
