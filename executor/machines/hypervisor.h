// The adapter to libvirt: a connection that is kept alive and made again, and worker threads that carry out the calls
// that block. Nothing here is on the way of a request.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/base/result.h"
#include "executor/machines/domain_xml.h"
#include "executor/machines/monitor.h"
#include "executor/machines/reconcile.h"
#include "executor/worker.h"

struct _virConnect;

namespace hearth::executor {

constexpr std::size_t kMaxStartsQueued = 256;
constexpr std::size_t kMaxDestroysQueued = 1024;
constexpr std::size_t kMaxManagementQueued = 1024;
constexpr std::size_t kMaxActivationsQueued = 256;
constexpr std::size_t kMaxBehindQueued = 64;

// The threads that calls wait for. What is slow for one kind must not hold another up.
enum class Lane : std::uint8_t {
  kStart,     // machines that are made now
  kActivate,  // shells that a machine is wanted of: short, and nothing else is ever before them
  kBehind,    // what is made ahead: templates, shells
  kDestroy,   // ending: libvirt waits up to 15 s for a QEMU that does not react
  kManage,    // listing, marking
};

// libvirt's driver runs in this process. It can be started only once there: one that has failed cannot be tried again.
[[nodiscard]] inline bool IsEmbedded(std::string_view uri) {
  return uri.find(":///embed") != std::string_view::npos;
}

struct HypervisorOptions {
  std::string uri;                  // "qemu:///system", "qemu:///session", "qemu:///embed?root=…", "test:///default"
  std::size_t starters = 2;         // machines being created at once
  std::size_t destroyers = 4;       // machines being destroyed at once
  std::int64_t retry_min_ms = 100;  // between attempts to connect, doubling
  std::int64_t retry_max_ms = 5000;
};

class Hypervisor {
 public:
  // How results come back: `post` runs a function on the caller's thread (the loop's) and may be called from any.
  using Post = std::function<void(std::function<void()>)>;
  enum class State : std::uint8_t { kUp, kAway, kHopeless };  // hopeless: it is tried no more
  // Called through `post` when the connection comes or goes; `reason` is empty when it is up.
  using OnState = std::function<void(State state, const std::string& reason)>;

  Hypervisor(HypervisorOptions options, Post post, OnState on_state);
  ~Hypervisor();  // waits for the call under way; callbacks not yet posted are dropped
  Hypervisor(const Hypervisor&) = delete;
  Hypervisor& operator=(const Hypervisor&) = delete;

  using Done = std::function<void(Result<void>)>;
  using Call = std::function<Result<void>(_virConnect*)>;
  using Listed = std::function<void(Result<std::vector<MarkedDomain>>)>;

  // Makes a call on a thread of the lane. kUnavailable: no connection; kExhausted: too many calls wait there.
  void Run(Lane lane, Call call, Done done);
  // From now on no call of the lanes that make machines begins; each is answered with kUnavailable.
  void RefuseStarts() { refuses_starts_ = true; }
  // Starts a transient domain. kUnavailable: no connection; kExhausted: too many starts wait; kInternal: libvirt or
  // QEMU refused, with their words. The domain outlives this process (the next life destroys it).
  void Create(std::string xml, Done done);
  // Ends a domain at once. A domain that does not exist is success.
  void Destroy(std::string name, Done done);
  // Records the mark anew, e.g. with an owner.
  void SetMark(std::string name, Mark mark, Done done);
  // The active domains with hearth's mark, whoever's.
  void List(Listed listed);

  [[nodiscard]] bool up() const { return up_; }
  [[nodiscard]] std::size_t starts_waiting() const { return starters_.waiting(); }
  [[nodiscard]] std::size_t activations_waiting() const { return activator_.waiting(); }
  // What the callers of Run add to.
  [[nodiscard]] MonitorCount& monitor_commands() { return monitor_commands_; }
  [[nodiscard]] std::size_t destroys_waiting() const { return destroyer_.waiting(); }

 private:
  using Connection = std::shared_ptr<_virConnect>;

  void KeepConnected();
  Result<Connection> Take();
  void Suspect();  // a call failed: the keeper looks at the connection now
  const HypervisorOptions options_;
  const Post post_;
  const OnState on_state_;
  std::atomic<bool> up_ = false;
  std::atomic<bool> refuses_starts_ = false;
  MonitorCount monitor_commands_ = 0;

  std::mutex mutex_;
  std::condition_variable wake_;
  Connection connection_;  // guarded by mutex_
  bool suspect_ = false;   // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_

  Worker starters_;
  Worker activator_;
  Worker behind_;
  Worker destroyer_;
  Worker manager_;
  std::thread keeper_;
};

}  // namespace hearth::executor
