// Many short random lives of one core between a naive Kafka and naive executors: rebalances, crashes, lost links,
// failed commits, produces, reads and pages. Judged at every commit and at every page (I1, I2: what is claimed has a
// durable successor) and at the end (everything accepted has ended). Executors forget what is acknowledged. In tight
// lives next to nothing fits in memory or in a commit.
#include <algorithm>
#include <array>
#include <deque>
#include <random>
#include <set>

#include "tests/unit/dispatcher/core_stories.h"

namespace hearth::dispatcher {
namespace {

constexpr std::int64_t kRecords = 60;

struct FakeExecutor {
  std::string id;
  int life = 1;
  bool linked = false;
  std::int64_t epoch = 0;
  std::vector<link::Exec> running;
  std::vector<link::Done> finished;
  std::deque<link::Message> inbox;   // from the core, in order
  std::deque<link::Message> outbox;  // to the core, in order
};

class RandomLife : public CoreStory {
 protected:
  bool Chance(unsigned percent) { return random_() % 100 < percent; }

  void Live(std::uint64_t seed, bool executors_fail) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    random_.seed(seed);
    executors_fail_ = executors_fail;
    published_.clear();
    durable_.clear();
    owes_dead_letter_.clear();
    kafka_.clear();
    logs_.clear();
    pages_.clear();
    executors_ = {};
    executors_[0].id = "e1";
    executors_[1].id = "e2";
    committed_ = 0;
    metadata_.clear();
    Boot();
    for (int round = 0; round < 400 && !HasFatalFailure(); ++round) Round(true);
    // Now all is well; everything must end.
    for (int round = 0; round < 4000 && committed_ < kRecords && !HasFatalFailure(); ++round) Round(false);
    ASSERT_EQ(committed_, kRecords);
    for (std::int64_t offset = 0; offset < kRecords; ++offset) ASSERT_TRUE(durable_.contains(offset)) << offset;
    if (!executors_fail) {
      for (const auto& [offset, times] : published_) ASSERT_EQ(times, 1) << "ran twice: " << offset;
    }
  }

  void LiveTightly() {
    room_ = {.lane_records = 3, .lane_bytes = 8'000, .bytes = 12'000};
    map_bytes_ = 72;  // 16 offsets
    page_offsets_ = 8;
  }

  void Boot() {
    for (const WritePage& write : writing_) {  // on their way when the process died
      if (Chance(50)) WriteDown(write);
    }
    Start();
    assigned_ = false;
    for (FakeExecutor& executor : executors_) Unlink(executor);
    for (FakeExecutor& executor : executors_) Link(executor);
  }
  void Link(FakeExecutor& executor) {
    executor.linked = true;
    Connect(executor.id, 4, "life" + std::to_string(executor.life));
  }
  void Unlink(FakeExecutor& executor) {
    executor.linked = false;
    executor.inbox.clear();
    executor.outbox.clear();
  }

  void Round(bool faults) {
    if (!assigned_) {
      assigned_ = true;
      read_ = IntakePosition(committed_, metadata_);
      Assign("std/0", committed_, metadata_);
    }
    for (int i = 0; i < 3 && read_ < kRecords && Chance(60); ++i) {
      const std::int64_t offset = read_++;
      if (offset % 13 == 7) {
        ReceiveRaw("std/0", offset, "junk");
      } else {
        Receive("std/0", offset, {.order_key = offset % 5 == 0 ? "k" : ""});
      }
    }
    for (FakeExecutor& executor : executors_) Work(executor);
    // Where executors fail, leases have to run out; where they do not, reports come well within the settle window.
    Pass(static_cast<std::int64_t>(random_() % (executors_fail_ ? 300 : 30)));
    CarryOut(faults);
    if (!faults) {
      for (FakeExecutor& executor : executors_) {
        if (!executor.linked) Link(executor);
      }
      return;
    }
    if (Chance(2)) {
      Revoke("std/0", Chance(50));
      CarryOut(faults);
      assigned_ = false;
    }
    if (Chance(1)) Boot();
    if (!executors_fail_) return;
    FakeExecutor& one = executors_[random_() % 2];
    if (one.linked && Chance(4)) {
      Unlink(one);
      Disconnect(one.id);
      if (Chance(50)) {  // the whole process died
        ++one.life;
        one.running.clear();
        one.finished.clear();
        one.epoch = 0;
      }
    } else if (!one.linked && Chance(30)) {
      Link(one);
    }
  }

  void Work(FakeExecutor& executor) {
    for (std::size_t i = 0; i < executor.running.size();) {
      if (!Chance(40)) {
        ++i;
        continue;
      }
      link::Exec exec = executor.running[i];
      executor.running.erase(executor.running.begin() + static_cast<std::ptrdiff_t>(i));
      Outcome outcome = Outcome::kPublished;
      Status status = Chance(80) ? Status::kOk : Status::kError;
      if (status == Status::kError && !exec.final_try) outcome = Outcome::kFailed;
      if (executors_fail_ && Chance(5)) outcome = Outcome::kInfrastructure;
      if (outcome == Outcome::kPublished) {
        ++published_[exec.ref.offset];
        durable_.insert(exec.ref.offset);
        if (status == Status::kError) owes_dead_letter_.insert(exec.ref.offset);
      }
      executor.finished.push_back(MakeDone(exec.ref, outcome, status));
      if (executor.linked) executor.outbox.push_back(executor.finished.back());
    }
    while (!executor.inbox.empty() && Chance(80)) {
      const link::Message message = executor.inbox.front();
      executor.inbox.pop_front();
      if (const auto* exec = std::get_if<link::Exec>(&message)) {
        if (exec->ref.epoch < executor.epoch) {
          executor.outbox.push_back(link::Nack{exec->ref, link::NackReason::kFenced});
        } else if (executor.running.size() >= 4 || Chance(3)) {
          executor.outbox.push_back(link::Nack{exec->ref, link::NackReason::kBusy});
        } else {
          executor.running.push_back(*exec);
        }
      } else if (const auto* ack = std::get_if<link::DoneAck>(&message)) {
        std::erase_if(executor.finished, [&](const link::Done& done) {
          return done.ref.offset == ack->ref.offset && done.ref.attempt == ack->ref.attempt;
        });
      } else if (const auto* fence = std::get_if<link::Fence>(&message)) {
        executor.epoch = std::max(executor.epoch, fence->epoch);
        link::FenceReport report{fence->partition, executor.epoch, {}, {}};
        for (link::Exec& held : executor.running) {
          held.ref.epoch = executor.epoch;
          report.running.push_back({held.ref, held.id, held.times.enqueued_us});
        }
        for (link::Done& done : executor.finished) {
          done.ref.epoch = executor.epoch;
          if (done.ref.offset >= fence->committed_offset) report.finished.push_back(done);
        }
        executor.outbox.push_back(report);
      }
    }
    while (executor.linked && !executor.outbox.empty() && Chance(80)) {
      const link::Message message = executor.outbox.front();
      executor.outbox.pop_front();
      Step(ExecutorMessage{ExecutorId(executor.id), message});
    }
    if (executor.linked) Beat(executor.id, static_cast<std::int32_t>(executor.running.size()));
  }

  void CarryOut(bool faults) {
    CarryOutEffects(faults);
    if (reading_ && Chance(70)) {
      if (faults && Chance(20)) {
        ReadBackFails();
      } else {
        ReadBackEnds(1 + static_cast<std::int64_t>(random_() % 8));
      }
    }
    if (asks_for_pages_ && Chance(70)) PagesAreRead(!faults || Chance(80));
    if (!writing_.empty() && Chance(70)) {
      for (const WritePage& write : std::exchange(writing_, {})) {
        const bool ok = !faults || Chance(80);
        if (ok) WriteDown(write);
        Step(PageWritten{write.key, ok});
      }
    }
    CarryOutEffects(faults);
  }

  void WriteDown(const WritePage& write) {
    const auto complete = DecodeLedgerPage(write.value);
    ASSERT_TRUE(complete.has_value());
    for (const LedgerRange& range : *complete) {
      for (std::int64_t i = range.start; i < range.start + range.length; ++i) {
        const std::int64_t offset = write.key.page * page_offsets_ + i;
        ASSERT_TRUE(durable_.contains(offset)) << "a page claims offset " << offset << ", and nothing of it is durable";
      }
    }
    pages_[write.key] = write.value;
    ++pages_written_;
  }

  void CarryOutEffects(bool faults) {
    while (!effects_.empty()) {
      const std::vector<Effect> todo = std::move(effects_);
      effects_.clear();
      for (const Effect& effect : todo) {
        if (const auto* send = std::get_if<SendToExecutor>(&effect)) {
          for (FakeExecutor& executor : executors_) {
            if (executor.linked && send->executor.str() == executor.id) executor.inbox.push_back(send->message);
          }
        } else if (const auto* produce = std::get_if<Produce>(&effect)) {
          const bool ok = !faults || Chance(70);
          if (ok) Deliver(*produce->record);
          Step(ProduceFinished{produce->token, ok, ""});
        } else if (const auto* commit = std::get_if<Commit>(&effect)) {
          const bool ok = !faults || Chance(80);
          if (ok) Judge(*commit);
          Step(CommitFinished{commit->partition, commit->epoch, ok, ""});
        }
      }
    }
  }

  void Deliver(const OutRecord& record) {
    if (record.topic == "hearth.dead-letter") {
      const std::int64_t offset = std::stoll(HeaderOf(record, "hearth-dead-offset"));
      owes_dead_letter_.erase(offset);
      durable_.insert(offset);
    } else {
      durable_.insert(std::stoll(HeaderOf(record, "hearth-id").substr(1)));
    }
  }

  void Judge(const Commit& commit) {
    ASSERT_GE(commit.offset, committed_) << "a commit never goes back";
    const auto map = DecodeLedgerMap(commit.metadata);
    ASSERT_TRUE(map.has_value());
    ASSERT_EQ(map->epoch, commit.epoch);
    for (std::int64_t offset = 0; offset < kRecords; ++offset) {
      if (offset >= commit.offset && !map->Claims(offset - commit.offset)) continue;
      ASSERT_TRUE(durable_.contains(offset)) << "offset " << offset << " is claimed, and nothing of it is durable";
      // (An executor that dies between publishing and reporting takes that knowledge with it.)
      ASSERT_FALSE(!executors_fail_ && owes_dead_letter_.contains(offset))
          << "offset " << offset << " has no dead-letter copy";
    }
    committed_ = commit.offset;
    metadata_ = commit.metadata;
  }

  using Outcome = link::Outcome;
  std::mt19937_64 random_;
  std::array<FakeExecutor, 2> executors_;
  bool executors_fail_ = false;
  bool assigned_ = false;
  std::int64_t read_ = 0;
  std::int64_t committed_ = 0;
  std::string metadata_;
  std::map<std::int64_t, int> published_;
  std::set<std::int64_t> durable_;
  std::set<std::int64_t> owes_dead_letter_;
  std::int64_t pages_written_ = 0;
};

TEST_F(RandomLife, RebalancesAndCrashesOfTheDispatcherRunNothingTwice) {
  for (std::uint64_t seed = 1; seed <= 150 && !HasFatalFailure(); ++seed) Live(seed, false);
}

TEST_F(RandomLife, NothingIsLostWhateverFails) {
  for (std::uint64_t seed = 1001; seed <= 1150 && !HasFatalFailure(); ++seed) Live(seed, true);
}

TEST_F(RandomLife, WhereNextToNothingFitsNothingRunsTwiceEither) {
  LiveTightly();
  for (std::uint64_t seed = 2001; seed <= 2150 && !HasFatalFailure(); ++seed) Live(seed, false);
  EXPECT_GT(pages_written_, 100);
}

TEST_F(RandomLife, WhereNextToNothingFitsNothingIsLostEither) {
  LiveTightly();
  for (std::uint64_t seed = 3001; seed <= 3150 && !HasFatalFailure(); ++seed) Live(seed, true);
}

}  // namespace
}  // namespace hearth::dispatcher
