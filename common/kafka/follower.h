// Reads a compacted topic from its beginning and follows it: the way in which daemons know the functions. Waits for the
// topic where it does not exist yet. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "common/base/result.h"
#include "common/kafka/handle.h"
#include "common/loop/resolver.h"

namespace hearth::kafka {

class TopicFollower {
 public:
  struct Callbacks {
    std::function<void(const Record& record)> record;  // an empty value removes the key
    std::function<void()> caught_up;                   // once, when all that was there has been told
    std::function<void(const std::string& what)> alarm;
  };
  static Result<std::unique_ptr<TopicFollower>> Create(Loop& loop, const std::string& bootstrap,
                                                       const std::string& client_id, const std::string& topic,
                                                       Callbacks callbacks);
  ~TopicFollower();
  TopicFollower(const TopicFollower&) = delete;
  TopicFollower& operator=(const TopicFollower&) = delete;

 private:
  TopicFollower(Loop& loop, std::string bootstrap, std::string topic, Callbacks callbacks);
  void TryAssign();
  void TellUnreadable(const std::string& reason);
  void Drain();

  const std::string bootstrap_;
  const std::string topic_;
  Callbacks callbacks_;
  Client client_;
  std::unique_ptr<Doorbell> doorbell_;
  Resolver resolver_;
  Timer retry_;
  int partitions_ = 0;
  std::set<int> at_end_;  // partitions; one may be at its end several times
  bool told_ = false;
};

}  // namespace hearth::kafka
