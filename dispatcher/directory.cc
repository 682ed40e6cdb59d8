#include "dispatcher/directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <msgpack.hpp>
#include <random>
#include <utility>

#include "common/base/time.h"
#include "dispatcher/library.h"
#include "schemas/codec.h"

namespace hearth::dispatcher {

// The value of a slot in Redis.
struct StoredSlot {
  ExecutorId executor;
  std::string state;
  link::Slot slot;
};
template <class A>
void Describe(A& a, StoredSlot& m) {
  auto& s = m.slot;
  a("fn", s.function)("version", s.version)("state", m.state)("executor", m.executor)("instance", s.machine)(
      "container", s.container)("memory_mib", s.memory_mib)("since_ms", s.since_ms);
}

namespace {

using link::SlotState;

const char* StateName(SlotState state) {
  switch (state) {
    case SlotState::kCreating: return "creating";
    case SlotState::kIdle: return "idle";
    case SlotState::kBusy: return "busy";
    case SlotState::kGone: return "gone";
  }
  return "gone";
}

std::string SlotId(const link::Slot& slot) {
  return slot.container.empty() ? slot.machine.value : slot.container.value;
}

std::string UserKey(const UserId& user, const char* what) {
  return "u:{" + user.value + "}:" + what;
}

// The slots in an answer of hearth_read.
std::vector<std::pair<ExecutorId, link::Slot>> SlotsIn(const UserId& user, const Result<redis::Value>& answer) {
  std::vector<std::pair<ExecutorId, link::Slot>> slots;
  for (std::size_t i = 1; answer && i < answer->elements.size(); i += 2) {
    auto stored = codec::Decode<codec::Layout::kMap, StoredSlot>(answer->elements[i].text);
    if (!stored) continue;  // a stranger's value is no hint
    stored->slot.user = user;
    for (const auto state : {SlotState::kCreating, SlotState::kIdle, SlotState::kBusy}) {
      if (stored->state == StateName(state)) stored->slot.state = state;
    }
    slots.emplace_back(stored->executor, stored->slot);
  }
  return slots;
}

// What goes before the slots of a write.
std::vector<std::string> WriteCommand(const UserId& user, const DispatcherId& writer) {
  return {"FCALL",
          "hearth_write",
          "6",
          UserKey(user, "slots"),
          UserKey(user, "idle"),
          UserKey(user, "instances"),
          UserKey(user, "fences"),
          UserKey(user, "claims"),
          UserKey(user, "owners"),
          writer.value};
}

}  // namespace

Directory::Directory(Loop& loop, const std::string& redis, Self self, Callbacks callbacks, Options options)
    : self_(std::move(self)),
      callbacks_(std::move(callbacks)),
      options_(std::move(options)),
      flush_(loop, [this] { Flush(); }),
      watch_(loop, [this] { Watch(); }),
      sweep_(loop, [this] { Sweep(); }),
      give_up_(loop,
               [this] {
                 if (const auto done = std::exchange(left_, nullptr)) done();
               }),
      client_(
          loop, redis,
          [this](bool up, const std::string& reason) {
            callbacks_.state(up, reason);
            if (!up) return;
            up_since_us_ = ReadClocks().mono_us;
            LoadLibrary();
            Watch();
            RewriteAll();  // what was in flight when the connection ended has an unknown fate
          },
          options_.credentials) {
  flush_.StartEvery(kDirectoryFlushMs);
  watch_.StartEvery(kDirectoryWatchMs);
  sweep_.StartEvery(options_.sweep_ms);
}

void Directory::LoadLibrary() {
  client_.Command({"FUNCTION", "LOAD", "REPLACE", options_.library.empty() ? kDirectoryLibrary : options_.library},
                  [this](Result<redis::Value> answer) {
                    if (answer && answer->kind == redis::Value::Kind::kError) {
                      callbacks_.alarm("redis refuses the functions library: " + answer->text);
                    }
                  });
}

void Directory::Mark(const Key& key) {
  unwritten_.try_emplace(key, ReadClocks().mono_us);
  dirty_.insert(key);
}

void Directory::Write(const ExecutorId& executor, const link::Slot& slot) {
  Key key{slot.user, SlotId(slot)};
  known_.insert_or_assign(key, Entry{executor, slot, ++revisions_});
  Mark(key);
}

void Directory::DropExecutor(const ExecutorId& executor) {
  for (auto& [key, entry] : known_) {
    if (entry.executor != executor) continue;
    entry.slot.state = SlotState::kGone;
    entry.revision = ++revisions_;
    Mark(key);
  }
}

void Directory::RewriteAll() {
  for (const auto& [key, entry] : known_) Mark(key);
}

void Directory::Flush() {
  if (dirty_.empty() || !client_.up() || client_.pending() > kMaxDirectoryBacklog) return;
  if (ReadClocks().mono_us < retry_at_us_) return;
  const auto dirty = std::exchange(dirty_, {});
  std::vector<std::string> slots;
  for (auto each = dirty.begin(); each != dirty.end(); ++each) {
    slots.push_back(each->second);
    const auto next = std::next(each);
    if (next == dirty.end() || next->first != each->first) {
      FlushUser(each->first, slots);
      slots.clear();
    }
  }
}

void Directory::FlushUser(const UserId& user, const std::vector<std::string>& slots) {
  std::vector<std::string> command = WriteCommand(user, self_.id);
  Sent sent;
  bool holds = false;
  for (const auto& id : slots) {
    const auto found = known_.find({user, id});
    if (found == known_.end()) continue;
    const Entry& entry = found->second;
    const bool gone = entry.slot.state == SlotState::kGone;
    std::string value;
    if (!gone) {
      codec::Encode<codec::Layout::kMap>(value, StoredSlot{entry.executor, StateName(entry.slot.state), entry.slot});
      holds = true;
    }
    command.insert(command.end(), {id, entry.slot.container.empty() ? "instance" : "container",
                                   StateName(entry.slot.state), std::to_string(entry.slot.since_ms), value});
    sent.emplace_back(id, entry.revision);
  }
  if (holds) {
    const std::int64_t now_ms = ReadClocks().wall_us / kMicrosPerMilli;
    client_.Command({"ZADD", "u:idx", "NX", std::to_string(now_ms), user.value}, nullptr);
  }
  if (sent.empty()) return;
  client_.Command(command,
                  [this, user, sent = std::move(sent)](Result<redis::Value> answer) { Written(user, sent, answer); });
}

void Directory::Written(const UserId& user, const Sent& sent, const Result<redis::Value>& answer) {
  if (!answer || answer->kind != redis::Value::Kind::kArray || answer->elements.size() < 2) {
    // Whether it was written is not known, or it was not: all of it goes again.
    retry_at_us_ = ReadClocks().mono_us + kDirectoryRetryMs * kMicrosPerMilli;
    for (const auto& [id, revision] : sent) {
      if (known_.contains({user, id})) Mark({user, id});
    }
    if (!answer) return;
    callbacks_.alarm("directory: " + answer->text);
    return LoadLibrary();  // somebody may have flushed the functions
  }
  std::set<std::string> refused;
  for (std::size_t i = 2; i < answer->elements.size(); ++i) refused.insert(answer->elements[i].text);
  refused_ += static_cast<std::int64_t>(refused.size());
  TakeOwners(user, answer->elements[1].integer);
  for (const auto& [id, revision] : sent) {
    const auto found = known_.find({user, id});
    if (found == known_.end() || found->second.revision != revision) continue;  // a newer write is on its way
    unwritten_.erase(found->first);
    // What another dispatcher has taken over is its to tell.
    if (found->second.slot.state == SlotState::kGone || refused.contains(id)) known_.erase(found);
  }
  const auto next = known_.lower_bound({user, ""});
  const bool holds = next != known_.end() && next->first.first == user;
  if (answer->elements.front().integer == 0 && !holds) client_.Command({"ZREM", "u:idx", user.value}, nullptr);
}

void Directory::TakeOwners(const UserId& user, std::int64_t owners) {
  const bool shared = owners > 1;
  if (shared ? shared_.insert(user).second : shared_.erase(user) > 0) callbacks_.shared(user, shared);
}

void Directory::Load(const UserId& user) {
  shared_.erase(user);
  // A write of nothing: the others hear of us, and we of them.
  client_.Command(WriteCommand(user, self_.id), [this, user](Result<redis::Value> answer) {
    if (answer && answer->elements.size() >= 2) TakeOwners(user, answer->elements[1].integer);
  });
  client_.Command({"FCALL_RO", "hearth_read", "1", UserKey(user, "slots")},
                  [this, user](Result<redis::Value> answer) { callbacks_.loaded(user, SlotsIn(user, answer)); });
}

void Directory::Claim(const UserId& user, const ExecutorId& executor, const ContainerId& container,
                      std::int64_t since_ms) {
  client_.Command({"FCALL", "hearth_claim", "1", UserKey(user, "claims"), self_.id.value, container.value,
                   std::to_string(since_ms)},
                  [this, user, executor, container, since_ms](Result<redis::Value> answer) {
                    const bool refused = answer && answer->kind == redis::Value::Kind::kInteger && answer->integer == 0;
                    callbacks_.claimed(user, executor, container, since_ms, !refused);
                  });
}

void Directory::Announce() {
  const std::string key = "di:" + self_.id.value;
  client_.Command({"HSET", key, "http", self_.http, "decisions", self_.decisions}, nullptr);
  client_.Command({"PEXPIRE", key, std::to_string(kDirectoryExpiryMs)}, nullptr);
  client_.Command({"SADD", "di:idx", self_.id.value}, nullptr);
}

void Directory::Leave(std::function<void()> done) {
  left_ = std::move(done);
  watch_.Cancel();
  give_up_.StartOnce(client_.up() ? kDirectoryLeaveMs : 0);
  if (!client_.up()) return;
  client_.Command({"DEL", "di:" + self_.id.value}, nullptr);
  client_.Command({"SREM", "di:idx", self_.id.value}, [this](Result<redis::Value>) { give_up_.StartOnce(0); });
}

void Directory::Watch() {
  if (!client_.up()) return;
  Announce();
  client_.Command({"GET", "sys:epoch"}, [this](Result<redis::Value> answer) {
    if (!answer || answer->kind == redis::Value::Kind::kError) return;
    TakeEpoch(answer->text);
  });
  client_.Command({"SMEMBERS", "ex:idx"}, [this](Result<redis::Value> answer) {
    if (!answer || answer->kind != redis::Value::Kind::kArray) return;
    struct Round {
      std::size_t left = 0;
      std::vector<std::pair<std::string, std::string>> addresses;  // by executor
      bool whole = true;  // part of an answer is none: an executor must not seem to have left
    };
    if (answer->elements.empty()) return TakeExecutors({});
    auto round = std::make_shared<Round>();
    round->left = answer->elements.size();
    for (const auto& executor : answer->elements) {
      client_.Command({"HGET", "ex:" + executor.text, "address"},
                      [this, round, id = executor.text](Result<redis::Value> address) {
                        if (!address || address->kind == redis::Value::Kind::kError) round->whole = false;
                        if (address && address->kind == redis::Value::Kind::kText)
                          round->addresses.emplace_back(id, address->text);
                        if (--round->left == 0 && round->whole) TakeExecutors(round->addresses);
                      });
    }
  });
}

void Directory::TakeExecutors(const std::vector<std::pair<std::string, std::string>>& addresses) {
  watched_us_ = ReadClocks().mono_us;
  std::vector<std::string> dial;
  for (const auto& [id, address] : addresses) {
    executors_seen_us_[id] = watched_us_;
    dial.push_back(address);
  }
  callbacks_.executors(std::move(dial));
}

bool Directory::Gone(const std::string& executor, std::int64_t now_us) const {
  const auto seen = executors_seen_us_.find(executor);
  const std::int64_t since_us = std::max(up_since_us_, seen == executors_seen_us_.end() ? 0 : seen->second);
  return now_us - since_us > options_.reap_ms * kMicrosPerMilli;
}

// The reaper: slots that nobody will ever speak of again, because their executor vanished while no dispatcher watched.
// A batch at a time, those users first that were not looked at for longest.
void Directory::Sweep() {
  const std::int64_t now_us = ReadClocks().mono_us;
  const bool blind = now_us - watched_us_ > 2 * kDirectoryWatchMs * kMicrosPerMilli;
  if (!client_.up() || blind || now_us - up_since_us_ <= options_.reap_ms * kMicrosPerMilli) return;
  std::erase_if(executors_seen_us_, [&](const auto& one) { return Gone(one.first, watched_us_); });
  client_.Command({"ZRANGE", "u:idx", "0", std::to_string(kMaxSweepUsers - 1)}, [this](Result<redis::Value> answer) {
    for (std::size_t i = 0; answer && i < answer->elements.size(); ++i) SweepUser(answer->elements[i].text);
  });
  for (const auto& [index, prefix] : {std::pair("ex:idx", "ex:"), std::pair("di:idx", "di:")}) {
    client_.Command({"SMEMBERS", index}, [this, index = std::string(index),
                                          prefix = std::string(prefix)](Result<redis::Value> answer) {
      for (std::size_t i = 0; answer && i < answer->elements.size(); ++i) {
        const std::string& id = answer->elements[i].text;
        // Its record is gone: whoever lives puts itself into the index again within a second.
        client_.Command({"EXISTS", prefix + id}, [this, index, id](Result<redis::Value> exists) {
          const bool gone = exists && exists->kind == redis::Value::Kind::kInteger && exists->integer == 0;
          if (gone) client_.Command({"SREM", index, id}, nullptr);
        });
      }
    });
  }
}

void Directory::SweepUser(const std::string& user) {
  const UserId id(user);
  client_.Command({"FCALL_RO", "hearth_read", "1", UserKey(id, "slots")}, [this, id](Result<redis::Value> answer) {
    if (!answer || answer->kind != redis::Value::Kind::kArray) return;
    callbacks_.loaded(id, SlotsIn(id, answer));  // a connected executor may not have them any more
    // As of the last look at who is there: a loop that was held up makes nobody gone.
    const std::int64_t now_us = watched_us_;
    std::map<std::string, std::vector<std::string>> dead;  // slots by executor; "": values that cannot be read
    for (std::size_t i = 0; i + 1 < answer->elements.size(); i += 2) {
      const auto stored = codec::Decode<codec::Layout::kMap, StoredSlot>(answer->elements[i + 1].text);
      const std::string executor = stored ? stored->executor.value : "";
      if (!stored || Gone(executor, now_us)) dead[executor].push_back(answer->elements[i].text);
    }
    for (const auto& [executor, slots] : dead) {
      reaped_ += static_cast<std::int64_t>(slots.size());
      std::vector<std::string> command = {"FCALL",
                                          "hearth_reap",
                                          "4",
                                          UserKey(id, "slots"),
                                          UserKey(id, "idle"),
                                          UserKey(id, "instances"),
                                          UserKey(id, "claims"),
                                          executor};
      command.insert(command.end(), slots.begin(), slots.end());
      client_.Command(command, [this, id](Result<redis::Value> left) {
        if (left && left->kind == redis::Value::Kind::kInteger && left->integer == 0)
          client_.Command({"ZREM", "u:idx", id.value}, nullptr);
      });
    }
    if (answer->elements.empty()) {
      client_.Command({"ZREM", "u:idx", id.value}, nullptr);
    } else {
      const std::int64_t now_ms = ReadClocks().wall_us / kMicrosPerMilli;
      client_.Command({"ZADD", "u:idx", "XX", std::to_string(now_ms), id.value}, nullptr);
    }
  });
}

void Directory::TakeEpoch(const std::string& epoch) {
  if (epoch.empty()) {  // flushed, or new: whoever sees it first names it; all write again
    std::random_device random;
    epoch_ = fmt::format("{:08x}{:08x}", random(), random());  // should another be faster, all is written once more
    client_.Command({"SET", "sys:epoch", epoch_, "NX"}, nullptr);
    up_since_us_ = ReadClocks().mono_us;
    LoadLibrary();
    return RewriteAll();
  }
  if (!epoch_.empty() && epoch != epoch_) {  // another Redis, or an older state of it
    up_since_us_ = ReadClocks().mono_us;
    LoadLibrary();
    RewriteAll();
  }
  epoch_ = epoch;
}

Directory::Numbers Directory::Read() const {
  Numbers numbers;
  numbers.up = client_.up();
  numbers.waiting = static_cast<std::int64_t>(unwritten_.size());
  std::int64_t oldest_us = ReadClocks().mono_us;
  const std::int64_t now_us = oldest_us;
  for (const auto& [key, since_us] : unwritten_) oldest_us = std::min(oldest_us, since_us);
  numbers.lag_ms = (now_us - oldest_us) / kMicrosPerMilli;
  numbers.commands = client_.commands_sent();
  numbers.refused = refused_;
  numbers.reaped = reaped_;
  return numbers;
}

}  // namespace hearth::dispatcher
