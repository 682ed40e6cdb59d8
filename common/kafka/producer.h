// An idempotent producer (acks=all, linger 0) on the event loop. A record's callback is called exactly once, after the
// broker has acknowledged it or it is certain that it will not be written. An outage of the brokers fails nothing: the
// records wait. A topic that does not exist fails after kUnknownTopicMs. Loop thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "common/kafka/handle.h"
#include "common/loop/loop.h"
#include "schemas/record.h"

namespace hearth::kafka {

constexpr std::int64_t kUnknownTopicMs = 2000;
constexpr std::size_t kMaxCachedTopics = 1000;
constexpr std::int64_t kUnknownOffset = -1;

// Is the record too large for its topic? Then it is never written as it is. What an operator can mend (a topic that is
// not there, rights) is not permanent.
bool IsPermanent(const Error& error);
// Was the record given up by PurgeUnsent?
bool IsPurged(const Error& error);

class Producer {
 public:
  // The record's offset in its partition; kUnknownOffset where it was written and the broker does not say where.
  using Delivered = std::function<void(Result<std::int64_t>)>;

  // `linger_ms`: how long a record may wait for others to travel with; 0 where somebody waits for it.
  static Result<std::unique_ptr<Producer>> Create(Loop& loop, const std::string& bootstrap,
                                                  const std::string& client_id, int linger_ms = 0);
  ~Producer();
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  // A partition that the topic does not have fails with kNotFound, as a topic that is not there.
  // What is sent in one turn of the loop is handed to the client together, when the turn ends: its thread is woken
  // once, and fewer requests carry more records.
  void Send(SharedRecord record, Delivered done);
  void Send(OutRecord record, Delivered done) { Send(Share(std::move(record)), std::move(done)); }
  // An empty value with a key (a tombstone of a compacted topic).
  void SendTombstone(const std::string& topic, const std::string& key, Delivered done);
  // What the client still holds and no request carries fails at once with kCancelled: it will not be written. What is
  // on its way may be, and is answered as ever.
  void PurgeUnsent();
  // Waits for all that was sent; blocks. False: the time was not enough.
  bool Flush(std::int64_t timeout_ms);
  [[nodiscard]] std::size_t outstanding() const { return outstanding_; }

 private:
  struct Pending {
    SharedRecord record;
    Delivered done;
  };
  explicit Producer(Loop& loop) : loop_(loop), turn_end_(loop, [this] { HandOver(); }) {}
  Result<void> Open();
  void HandOver();  // what was gathered
  void Submit(std::unique_ptr<Pending> pending);
  void Drain();
  void Finish(std::unique_ptr<Pending> pending, rd_kafka_resp_err_t error, std::int64_t offset = kUnknownOffset);
  void Reopen();
  rd_kafka_topic_t* TopicHandle(const std::string& name);

  Loop& loop_;
  std::string bootstrap_;
  std::string client_id_;
  int linger_ms_ = 0;
  std::map<std::string, Topic> topics_;  // destroyed before client_: see Reopen and the destructor
  Client client_;
  std::unique_ptr<Doorbell> doorbell_;
  std::vector<std::unique_ptr<Pending>> gathered_;  // in this turn of the loop
  TurnEnd turn_end_;
  std::deque<std::unique_ptr<Pending>> overflow_;  // did not fit into librdkafka's queue, or outlived a fatal error
  std::size_t outstanding_ = 0;
  bool closing_ = false;
  bool reopening_ = false;
};

}  // namespace hearth::kafka
