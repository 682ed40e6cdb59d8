// The half of the shell that the core drives: stepping it, and carrying out its effects.
#include <fmt/format.h>

#include <utility>

#include "common/base/text.h"
#include "common/base/time.h"
#include "dispatcher/app.h"

namespace hearth::dispatcher {

void App::Handle(Event event) {
  stepper_.Push(std::move(event));
  Run();
}

void App::Run() {
  const bool ran = stepper_.Run(
      [this](const Event& event, std::vector<Effect>& effects) { core_.Step(event, ReadClocks(), effects); },
      [this](auto& effect) { Do(effect); }, [this] { CommitGivenUp(); });
  if (ran && links_->unsent_bytes() >= kGatheredBytes) links_->Flush();
}

void App::Do(SendToExecutor& effect) {
  links_->Send(effect.executor, std::move(effect.message));
}

void App::Do(Produce& effect) {
  producer_->Send(std::move(effect.record), [this, token = effect.token](const Result<std::int64_t>& sent) {
    Handle(ProduceFinished{token, sent.has_value(), sent ? "" : sent.error().message,
                           !sent && kafka::IsPermanent(sent.error()), sent.value_or(kafka::kUnknownOffset)});
  });
}

void App::Do(Commit& effect) {
  if (effect.sync) return given_up_.push_back(std::move(effect));
  if (consumer_ == nullptr) return Tell(effect, Fail(Code::kUnavailable, "commit: the group is left"));
  kafka::OffsetCommit commit{effect.partition, effect.offset, std::move(effect.metadata)};
  consumer_->Commit(commit, [this, told = std::move(effect)](const Result<void>& outcome) { Tell(told, outcome); });
}

// One request for all partitions that are given up at once: the loop stands still for one answer and no longer.
void App::CommitGivenUp() {
  if (given_up_.empty()) return;
  const auto commits = std::exchange(given_up_, {});
  std::vector<kafka::OffsetCommit> request;
  request.reserve(commits.size());
  for (const Commit& each : commits) request.push_back({each.partition, each.offset, each.metadata});
  const auto outcomes =
      consumer_ != nullptr
          ? consumer_->CommitNow(request)
          : std::vector<Result<void>>(commits.size(), Fail(Code::kUnavailable, "commit: the group is left"));
  for (std::size_t i = 0; i < commits.size(); ++i) Tell(commits[i], outcomes[i]);
}

void App::Tell(const Commit& commit, const Result<void>& outcome) {
  if (!outcome) {
    log_->warn("partition={}/{} epoch={} {}{}", commit.partition.topic, commit.partition.partition, commit.epoch,
               outcome.error().message, commit.sync ? ": its next owner asks the executors for what was complete" : "");
  }
  Handle(CommitFinished{commit.partition, commit.epoch, outcome.has_value(), outcome ? "" : outcome.error().message});
}

void App::Do(PauseIntake& effect) {
  log_->info("partition={}/{} intake paused", effect.partition.topic, effect.partition.partition);
  if (consumer_ != nullptr) consumer_->Pause(effect.partition);
}

void App::Do(ResumeIntake& effect) {
  log_->info("partition={}/{} intake resumed", effect.partition.topic, effect.partition.partition);
  if (consumer_ != nullptr) consumer_->Resume(effect.partition);
}

void App::Do(ReadBack& effect) {
  chunks_->Read(effect.partition, effect.offset, effect.most,
                [this, partition = effect.partition, offset = effect.offset](Result<kafka::Chunk> chunk) {
                  const std::string error = chunk ? "" : chunk.error().message;
                  if (std::exchange(chunks_alarm_, error) != error && !error.empty()) {
                    log_->warn("partition={}/{} offset={} cannot be read back: {}", partition.topic,
                               partition.partition, offset, error);
                  }
                  if (!chunk) {
                    const bool is_missing =
                        chunk.error().code == Code::kInvalid || chunk.error().code == Code::kNotFound;
                    return Handle(ReadBackFinished{partition, offset, offset, {}, error, is_missing});
                  }
                  Handle(ReadBackFinished{partition, offset, chunk->next, std::move(chunk->records), ""});
                });
}

// Posted: a page may be refused at once, inside the step that wants it written.
void App::Do(WritePage& effect) {
  const bool takes_away = effect.value.empty();
  pages_->Write(effect.key, std::move(effect.value), [this, key = effect.key, takes_away](Result<void> written) {
    TellPages(written ? "" : "cannot be written: " + written.error().message);
    if (!takes_away) loop_.Post([this, key, ok = written.has_value()] { Handle(PageWritten{key, ok}); });
  });
}

// A topic that is not there has no pages, and neither has a ledger whose pages cannot be held: what they would have
// told is run again, and nothing waits for it.
void App::Do(ReadPages& effect) {
  pages_->Read(effect.partition, [this, asked = effect](Result<StoredPages> stored) {
    const bool none = !stored && (stored.error().code == Code::kNotFound || stored.error().code == Code::kExhausted);
    PagesRead read{asked.partition, asked.epoch, {}, stored.has_value() || none};
    if (!stored) {
      TellPages("cannot be read: " + stored.error().message);
    } else {
      TellPages(stored->lacking == 0
                    ? ""
                    : fmt::format("partition={} pages={} of batches are left out: all take more than {} bytes",
                                  kafka::Name(asked.partition), stored->lacking, kMostPageBytes));
      for (StoredPage& page : stored->pages) read.pages.push_back({std::move(page.key), std::move(page.value)});
    }
    Handle(std::move(read));
  });
}

void App::TellPages(const std::string& what) {
  if (std::exchange(pages_alarm_, what) == what) return;
  readiness_->Remark("ledger pages", what);
  if (!what.empty()) log_->warn("topic={} {}", config_.ledger_topic, what);
}

// A topic that is not there has no states, and nothing waits for it.
void App::Do(ReadStates& effect) {
  states_->Read(effect.partition.partition, [this, asked = effect](Result<StoredStates> stored) {
    StatesRead read{asked.partition, asked.epoch, {}, stored.has_value() || stored.error().code == Code::kNotFound};
    if (!stored) {
      TellStates("cannot be read: " + stored.error().message);
    } else {
      TellStates(stored->lacking == 0
                     ? ""
                     : fmt::format("partition={} states={} of the oldest are left out: all take more than {} bytes",
                                   asked.partition.partition, stored->lacking, kMostStateBytes));
      if (stored->unreadable > 0) {
        log_->warn("topic={} partition={} states={} cannot be read, the first is {}", config_.core.batch_state_topic,
                   asked.partition.partition, stored->unreadable, Quoted(stored->why));
      }
      read.states = std::move(stored->states);
    }
    Handle(std::move(read));
  });
}

void App::TellStates(const std::string& what) {
  if (std::exchange(states_alarm_, what) == what) return;
  readiness_->Remark("states of batches", what);
  if (!what.empty()) log_->warn("topic={} {}", config_.core.batch_state_topic, what);
}

void App::Do(LoadUser& effect) {
  directory_->Load(effect.user);
}
void App::Do(DirectoryWrite& effect) {
  directory_->Write(effect.executor, effect.slot);
}
void App::Do(ClaimSlot& effect) {
  directory_->Claim(effect.user, effect.executor, effect.container, effect.since_ms);
}
void App::Do(DirectoryDropExecutor& effect) {
  directory_->DropExecutor(effect.executor);
}

void App::Do(Trace& effect) {
  metrics_.Count(effect);
  const auto line = [&](spdlog::level::level_enum level, const char* what) {
    if (!log_->should_log(level)) return;
    // Above debug nobody asked for each of them.
    if (level > spdlog::level::debug && !lines_.at(static_cast<std::size_t>(effect.kind)).Take(ReadClocks().mono_us)) {
      return;
    }
    log_->log(level, "inv={} user={} fn={} executor={} record={}/{}/{} epoch={} attempt={} {} reason={}",
              Quoted(effect.id.value), effect.user.value, effect.function.value, effect.executor.value,
              effect.partition.topic, effect.partition.partition, effect.offset, effect.epoch, effect.attempt, what,
              Quoted(effect.constraint));
  };
  switch (effect.kind) {
    case Trace::Kind::kReceived: return;  // counted; a line for each would be the log
    case Trace::Kind::kPlaced: return line(spdlog::level::debug, "placed");
    case Trace::Kind::kCompleted:
      if (!log_->should_log(spdlog::level::debug)) return;
      return log_->debug("inv={} user={} fn={} complete status={} path={}", Quoted(effect.id.value), effect.user.value,
                         effect.function.value, StatusName(effect.status), StartPathName(effect.path));
    case Trace::Kind::kRefused: return line(spdlog::level::info, "refused");
    case Trace::Kind::kRetried: return line(spdlog::level::info, "retried");
    case Trace::Kind::kDeadLettered: return line(spdlog::level::warn, "dead-lettered");
    case Trace::Kind::kNacked: return line(spdlog::level::debug, "nacked");
    case Trace::Kind::kAdopted: return line(spdlog::level::info, "adopted");
    case Trace::Kind::kFenced: return line(spdlog::level::warn, "fenced");
    case Trace::Kind::kLostPlacement: return line(spdlog::level::warn, "lost its place");
  }
}

void App::TellLinesLeftOut() {
  for (std::size_t kind = 0; kind < lines_.size(); ++kind) {
    if (const auto count = lines_[kind].TakeLeftOut(); count > 0) {
      log_->info("lines={} kind={} left out: {} of a kind are written in a second", count,
                 KindName(static_cast<Trace::Kind>(kind)), kLinesOfAKindPerSecond);
    }
  }
}

void App::Do(DrainFinished&) {
  loop_.Post([this] { Stop(); });
}  // not from inside a step: closing revokes

}  // namespace hearth::dispatcher
