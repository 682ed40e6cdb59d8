#include "executor/machines/monitor.h"

#include <fmt/format.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/base/handle.h"

namespace hearth::executor {
namespace {

using Domain = std::unique_ptr<virDomain, Deleter<virDomainFree>>;
using nlohmann::json;

constexpr const char* kDescriptorName = "hearth-state";
constexpr auto kPollEvery = std::chrono::milliseconds(10);

Result<Domain> Find(virConnectPtr connection, const std::string& name) {
  Domain domain(virDomainLookupByName(connection, name.c_str()));
  if (domain != nullptr) return domain;
  return Fail(LastLibvirtCode() == VIR_ERR_NO_DOMAIN ? Code::kNotFound : Code::kUnavailable, LastLibvirtError());
}

// What the monitor returns. kInternal: it refused, with its words.
Result<json> Ask(virDomainPtr domain, const json& command, MonitorCount& count, int descriptor = -1) {
  ++count;
  char* text = nullptr;
  const std::string request = command.dump();
  const int failed = descriptor < 0 ? virDomainQemuMonitorCommand(domain, request.c_str(), &text, 0)
                                    : virDomainQemuMonitorCommandWithFiles(domain, request.c_str(), 1, &descriptor,
                                                                           nullptr, nullptr, &text, 0);
  const std::unique_ptr<char, Deleter<std::free>> owned(text);
  const std::string what = command.value("execute", "");
  if (failed != 0) return Fail(Code::kInternal, fmt::format("{}: {}", what, LastLibvirtError()));
  auto reply = json::parse(text, nullptr, false);
  if (!reply.is_object()) return Fail(Code::kInternal, fmt::format("{}: no JSON came back", what));
  if (const auto error = reply.find("error"); error != reply.end()) {
    return Fail(Code::kInternal, fmt::format("{}: {}", what, error->value("desc", error->dump())));
  }
  return reply.value("return", json::object());
}

// Both sides of a machine's state have to leave the memory out.
Result<void> OfferState(virDomainPtr domain, int descriptor, MonitorCount& count) {
  const json capability = {
      {"execute", "migrate-set-capabilities"},
      {"arguments", {{"capabilities", json::array({{{"capability", "x-ignore-shared"}, {"state", true}}})}}}};
  if (auto done = Ask(domain, capability, count); !done) return std::unexpected(done.error());
  const json pass = {{"execute", "getfd"}, {"arguments", {{"fdname", kDescriptorName}}}};
  if (auto done = Ask(domain, pass, count, descriptor); !done) return std::unexpected(done.error());
  return {};
}

json Move(const char* command) {
  return {{"execute", command}, {"arguments", {{"uri", fmt::format("fd:{}", kDescriptorName)}}}};
}

}  // namespace

std::string LastLibvirtError() {
  const virErrorPtr error = virGetLastError();
  return error != nullptr && error->message != nullptr ? error->message : "unknown error";
}

int LastLibvirtCode() {
  const virErrorPtr error = virGetLastError();
  return error != nullptr ? error->code : VIR_ERR_OK;
}

Result<void> CreateDomain(virConnectPtr connection, const std::string& xml) {
  const Domain domain(virDomainCreateXML(connection, xml.c_str(), VIR_DOMAIN_NONE));
  if (domain == nullptr) return Fail(Code::kInternal, LastLibvirtError());
  return {};
}

Result<void> DestroyDomain(virConnectPtr connection, const std::string& name) {
  const auto domain = Find(connection, name);
  if (!domain) {
    if (domain.error().code == Code::kNotFound) return {};
    return std::unexpected(domain.error());
  }
  if (virDomainDestroy(domain->get()) == 0) return {};
  const int code = LastLibvirtCode();
  if (code == VIR_ERR_NO_DOMAIN || code == VIR_ERR_OPERATION_INVALID) return {};  // it ended by itself
  return Fail(Code::kUnavailable, LastLibvirtError());
}

Result<void> SaveState(virConnectPtr connection, const std::string& name, int descriptor, MonitorCount& count) {
  const auto domain = Find(connection, name);
  if (!domain) return std::unexpected(domain.error());
  if (auto offered = OfferState(domain->get(), descriptor, count); !offered) return offered;
  // Running, not stopped: what is filled from it shall run on by itself.
  if (auto begun = Ask(domain->get(), Move("migrate"), count); !begun) return std::unexpected(begun.error());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kSaveWithinMs);
  while (std::chrono::steady_clock::now() < deadline) {
    auto status = Ask(domain->get(), {{"execute", "query-migrate"}}, count);
    if (!status) return std::unexpected(status.error());
    const std::string word = status->value("status", "");
    if (word == "completed") return {};
    if (word == "failed" || word == "cancelled") {
      return Fail(Code::kInternal, "saving failed: " + status->value("error-desc", word));
    }
    std::this_thread::sleep_for(kPollEvery);
  }
  return Fail(Code::kDeadline, "saving did not end in the time allowed");
}

Result<void> OfferState(virConnectPtr connection, const std::string& name, int descriptor, MonitorCount& count) {
  const auto domain = Find(connection, name);
  if (!domain) return std::unexpected(domain.error());
  return OfferState(domain->get(), descriptor, count);
}

Result<void> ActivateShell(virConnectPtr connection, const std::string& name, MonitorCount& count) {
  const auto domain = Find(connection, name);
  if (!domain) return std::unexpected(domain.error());
  if (auto done = Ask(domain->get(), Move("migrate-incoming"), count); !done) return std::unexpected(done.error());
  return {};
}

Result<void> SaveDomain(virConnectPtr connection, const std::string& name, const std::string& path) {
  const auto domain = Find(connection, name);
  if (!domain) return std::unexpected(domain.error());
  if (virDomainSaveFlags(domain->get(), path.c_str(), nullptr, VIR_DOMAIN_SAVE_RUNNING) == 0) return {};
  return Fail(Code::kInternal, LastLibvirtError());
}

Result<void> RestoreDomain(virConnectPtr connection, const std::string& path) {
  if (virDomainRestoreFlags(connection, path.c_str(), nullptr, VIR_DOMAIN_SAVE_RUNNING) == 0) return {};
  return Fail(Code::kInternal, LastLibvirtError());
}

Result<std::string> EmulatorVersion(virConnectPtr connection) {
  unsigned long version = 0;
  if (virConnectGetVersion(connection, &version) != 0) return Fail(Code::kUnavailable, LastLibvirtError());
  return std::to_string(version);
}

std::string LibvirtVersion(virConnectPtr connection) {
  unsigned long version = 0;
  return virConnectGetLibVersion(connection, &version) == 0 ? std::to_string(version) : "unknown";
}

}  // namespace hearth::executor
