#include "executor/machines/hypervisor.h"

#include <fmt/format.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "common/base/handle.h"

namespace hearth::executor {
namespace {

using Domain = std::unique_ptr<virDomain, Deleter<virDomainFree>>;

constexpr int kKeepAliveIntervalS = 5;
constexpr unsigned kKeepAliveMisses = 3;
constexpr auto kLookEvery = std::chrono::seconds(2);  // how soon a lost connection is noticed without a failing call

// libvirt's keep-alive, and its whole client where it embeds the driver, needs an event loop in the process. The
// registration is the library's own global and holds once for all; the thread ends with the process.
void StartLibvirtEvents() {
  static std::once_flag once;
  std::call_once(once, [] {
    virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});  // errors come back as values, not on stderr
    virInitialize();
    virEventRegisterDefaultImpl();
    std::thread([] {
      pthread_setname_np(pthread_self(), "libvirt-events");
      sigset_t all;
      sigfillset(&all);
      pthread_sigmask(SIG_BLOCK, &all, nullptr);
      while (virEventRunDefaultImpl() == 0) {}
    }).detach();
  });
}

std::string TakeText(char* text) {
  std::string copy = text != nullptr ? text : "";
  std::free(text);
  return copy;
}

}  // namespace

Hypervisor::Hypervisor(HypervisorOptions options, Post post, OnState on_state)
    : options_(std::move(options)),
      post_(std::move(post)),
      on_state_(std::move(on_state)),
      starters_("libvirt-start", options_.starters, kMaxStartsQueued),
      activator_("libvirt-activate", 1, kMaxActivationsQueued),
      behind_("libvirt-behind", 1, kMaxBehindQueued),
      destroyer_("libvirt-destroy", options_.destroyers, kMaxDestroysQueued),
      manager_("libvirt-manage", 1, kMaxManagementQueued) {
  StartLibvirtEvents();
  keeper_ = std::thread([this] { KeepConnected(); });
}

Hypervisor::~Hypervisor() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  keeper_.join();
}

void Hypervisor::KeepConnected() {
  pthread_setname_np(pthread_self(), "libvirt-keeper");
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  std::int64_t delay_ms = options_.retry_min_ms;
  std::string reported;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (connection_ != nullptr) {
      wake_.wait_for(lock, kLookEvery, [this] { return stopping_ || suspect_; });
      suspect_ = false;
      const Connection held = connection_;
      lock.unlock();
      const bool alive = virConnectIsAlive(held.get()) == 1;
      lock.lock();
      if (alive) continue;
      connection_ = nullptr;
      up_ = false;
      reported = "the connection was lost";
      post_([report = on_state_, reason = reported] { report(State::kAway, reason); });
      continue;
    }
    lock.unlock();
    Connection opened(virConnectOpen(options_.uri.c_str()), [](virConnectPtr c) {
      if (c != nullptr) virConnectClose(c);
    });
    const std::string reason = opened != nullptr ? "" : LastLibvirtError();
    if (opened != nullptr) virConnectSetKeepAlive(opened.get(), kKeepAliveIntervalS, kKeepAliveMisses);
    lock.lock();
    if (opened != nullptr) {
      connection_ = std::move(opened);
      up_ = true;
      delay_ms = options_.retry_min_ms;
      reported.clear();
      post_([report = on_state_] { report(State::kUp, ""); });
      continue;
    }
    if (IsEmbedded(options_.uri)) {
      post_([report = on_state_, reason] { report(State::kHopeless, reason); });
      return;
    }
    if (reason != reported) {
      reported = reason;
      post_([report = on_state_, reason] { report(State::kAway, reason); });
    }
    wake_.wait_for(lock, std::chrono::milliseconds(delay_ms), [this] { return stopping_; });
    delay_ms = std::min(delay_ms * 2, options_.retry_max_ms);
  }
  connection_ = nullptr;
}

Result<Hypervisor::Connection> Hypervisor::Take() {
  const std::scoped_lock lock(mutex_);
  if (connection_ == nullptr) return Fail(Code::kUnavailable, "libvirt is away");
  return connection_;
}

void Hypervisor::Suspect() {
  {
    const std::scoped_lock lock(mutex_);
    suspect_ = true;
  }
  wake_.notify_all();
}

void Hypervisor::Run(Lane lane, Call call, Done done) {
  Worker* worker = &starters_;
  switch (lane) {
    case Lane::kStart: break;
    case Lane::kActivate: worker = &activator_; break;
    case Lane::kBehind: worker = &behind_; break;
    case Lane::kDestroy: worker = &destroyer_; break;
    case Lane::kManage: worker = &manager_; break;
  }
  const bool makes = worker == &starters_ || worker == &activator_ || worker == &behind_;
  const bool queued = worker->Post([this, makes, call = std::move(call), done] {
    if (makes && refuses_starts_) {
      return post_([done] { done(Fail(Code::kUnavailable, "nothing is started any more")); });
    }
    auto connection = Take();
    Result<void> result = connection ? call(connection->get()) : std::unexpected(connection.error());
    if (!result) Suspect();
    post_([done, result = std::move(result)] { done(result); });
  });
  if (!queued) post_([done = std::move(done)] { done(Fail(Code::kExhausted, "too many libvirt calls wait")); });
}

void Hypervisor::Create(std::string xml, Done done) {
  Run(
      Lane::kStart, [xml = std::move(xml)](virConnectPtr connection) { return CreateDomain(connection, xml); },
      std::move(done));
}

void Hypervisor::Destroy(std::string name, Done done) {
  Run(
      Lane::kDestroy, [name = std::move(name)](virConnectPtr connection) { return DestroyDomain(connection, name); },
      std::move(done));
}

void Hypervisor::SetMark(std::string name, Mark mark, Done done) {
  Run(
      Lane::kManage,
      [name = std::move(name), mark = std::move(mark)](virConnectPtr connection) -> Result<void> {
        const Domain domain(virDomainLookupByName(connection, name.c_str()));
        if (domain == nullptr) {
          return Fail(LastLibvirtCode() == VIR_ERR_NO_DOMAIN ? Code::kNotFound : Code::kUnavailable,
                      LastLibvirtError());
        }
        const std::string xml = BuildMarkXml(mark);
        if (virDomainSetMetadata(domain.get(), VIR_DOMAIN_METADATA_ELEMENT, xml.c_str(),
                                 std::string(kMarkPrefix).c_str(), std::string(kMarkNamespace).c_str(),
                                 VIR_DOMAIN_AFFECT_LIVE) != 0) {
          return Fail(Code::kInternal, LastLibvirtError());
        }
        return {};
      },
      std::move(done));
}

void Hypervisor::List(Listed listed) {
  auto found = std::make_shared<std::vector<MarkedDomain>>();
  Run(
      Lane::kManage,
      [found](virConnectPtr connection) -> Result<void> {
        virDomainPtr* domains = nullptr;
        const int count = virConnectListAllDomains(connection, &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
        if (count < 0) return Fail(Code::kUnavailable, LastLibvirtError());
        for (int i = 0; i < count; ++i) {
          const Domain domain(domains[i]);
          const std::string xml = TakeText(virDomainGetXMLDesc(domain.get(), 0));
          const char* name = virDomainGetName(domain.get());
          if (auto mark = ReadMark(xml); mark && name != nullptr) found->push_back({name, std::move(*mark)});
        }
        std::free(static_cast<void*>(domains));
        return {};
      },
      [found, listed = std::move(listed)](Result<void> result) {
        if (!result) return listed(std::unexpected(result.error()));
        listed(std::move(*found));
      });
}

}  // namespace hearth::executor
