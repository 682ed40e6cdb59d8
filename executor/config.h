// The executor's configuration file, checked. docs/adr/0001 shows one.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "common/base/result.h"
#include "common/config/shared_keys.h"
#include "common/config/variables.h"
#include "common/link/trust.h"
#include "common/redis/account.h"
#include "executor/control_groups.h"
#include "executor/core/core.h"
#include "executor/machines/acceleration.h"
#include "executor/machines/hypervisor.h"
#include "executor/machines/shares.h"
#include "executor/machines/ways.h"
#include "executor/simulated/settings.h"

namespace hearth::executor {

// What makes machines.
enum class DriverChoice : std::uint8_t { kLibvirt = 0, kSimulated = 1 };

struct Config {
  StatusKeys status;
  std::string listen;      // unix:PATH or tcp:HOST:PORT, for dispatchers
  std::string advertised;  // where they dial, if not there
  LinkTrust link;
  std::string run_dir;  // sockets of machines; a short path that other accounts may pass through
  std::string state_dir;
  std::string code_store;
  std::string log_level = "info";
  std::string kafka;  // bootstrap servers
  std::string functions_topic;
  std::string settings_topic;
  std::string redis;
  redis::Credentials redis_account;
  DriverChoice driver = DriverChoice::kLibvirt;
  SimulatedSettings simulated;
  std::string libvirt;  // connection URI
  std::string image;    // folder; empty where machines are simulated
  SharesChoice shares = SharesChoice::kAuto;
  AccelerationChoice accel = AccelerationChoice::kAuto;
  bool require_kvm = false;
  bool require_no_network = false;  // of the processes of machines
  StartChoice start = StartChoice::kAuto;
  std::map<std::string, StartChoice> profile_start;  // of profiles that say something else
  std::string template_dir;                          // for saved machines; within state_dir unless said otherwise
  Settings core;                                     // all but what is known once the daemon runs
};

// Whose limits bind the machines of such an executor.
[[nodiscard]] inline GroupScope GroupScopeOf(const Config& config) {
  return IsEmbedded(config.libvirt) ? GroupScope::kOwn : GroupScope::kContainer;
}

// kInvalid: every fault of the file on a line of its own, with the number of its line there.
Result<Config> LoadConfig(const std::string& path);
Result<Config> ParseConfig(std::string_view text, const std::string& name,
                           Environment environment = ProcessEnvironment);
// The chapter about it in docs/configuration.md.
std::string ConfigChapter();

}  // namespace hearth::executor
