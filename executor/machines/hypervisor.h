// The adapter to libvirt: a connection that is kept alive and made again, and worker threads that carry out the calls
// that block. Nothing here is on the way of a request.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/base/result.h"
#include "executor/machines/domain_xml.h"
#include "executor/machines/reconcile.h"
#include "executor/worker.h"

struct _virConnect;

namespace hearth::executor {

constexpr std::size_t kMaxStartsQueued = 256;
constexpr std::size_t kMaxDestroysQueued = 1024;

struct HypervisorOptions {
  std::string uri;                  // "qemu:///system", "qemu:///session", "qemu:///embed?root=…", "test:///default"
  std::size_t starters = 2;         // machines being created at once
  std::int64_t retry_min_ms = 100;  // between attempts to connect, doubling
  std::int64_t retry_max_ms = 5000;
};

class Hypervisor {
 public:
  // How results come back: `post` runs a function on the caller's thread (the loop's) and may be called from any.
  using Post = std::function<void(std::function<void()>)>;
  // Called through `post` when the connection comes or goes; `reason` is empty when it is up.
  using OnState = std::function<void(bool up, const std::string& reason)>;

  Hypervisor(HypervisorOptions options, Post post, OnState on_state);
  ~Hypervisor();  // waits for the call under way; callbacks not yet posted are dropped
  Hypervisor(const Hypervisor&) = delete;
  Hypervisor& operator=(const Hypervisor&) = delete;

  using Done = std::function<void(Result<void>)>;
  using Listed = std::function<void(Result<std::vector<MarkedDomain>>)>;

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
  [[nodiscard]] std::size_t destroys_waiting() const { return destroyer_.waiting(); }

 private:
  using Connection = std::shared_ptr<_virConnect>;

  void KeepConnected();
  Result<Connection> Take();
  void Suspect();  // a call failed: the keeper looks at the connection now
  void Submit(Worker& worker, std::function<Result<void>(_virConnect*)> call, Done done);

  const HypervisorOptions options_;
  const Post post_;
  const OnState on_state_;
  std::atomic<bool> up_ = false;

  std::mutex mutex_;
  std::condition_variable wake_;
  Connection connection_;  // guarded by mutex_
  bool suspect_ = false;   // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_

  Worker starters_;
  Worker destroyer_;
  std::thread keeper_;
};

}  // namespace hearth::executor
