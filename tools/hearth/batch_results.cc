#include "tools/hearth/batch_results.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "common/kafka/partition_reader.h"
#include "schemas/batch_item.h"
#include "schemas/result.h"
#include "schemas/topics.h"
#include "tools/hearth/batch_item_ids.h"
#include "tools/hearth/batch_lines.h"
#include "tools/hearth/batch_picks.h"
#include "tools/hearth/batch_store.h"
#include "tools/hearth/log_range.h"
#include "tools/hearth/output_file.h"
#include "tools/hearth/ways_out.h"

namespace hearth::tool {
namespace {

Result<kafka::PartitionReader> OpenResults(const Context& context, std::int32_t home) {
  return kafka::PartitionReader::Open(context.bootstrap.value, "hearth-cli",
                                      {std::string(TopicName(Topic::kBatchResults)), home}, kServerTimeoutMs);
}

// The results of one batch on their topic.
class ResultReader {
 public:
  static Result<ResultReader> Open(const Context& context, std::int32_t home, const BatchRef& ref,
                                   const BatchState& state) {
    auto reader = OpenResults(context, home);
    if (!reader) return std::unexpected(reader.error());
    const auto bounds = reader->Bounds(kServerTimeoutMs);
    if (!bounds) return std::unexpected(bounds.error());
    ResultReader results(std::move(*reader), ref);
    if (!state.results) return results;
    results.first_ = std::max(state.results->first, bounds->start);
    const bool has_ended = state.phase == BatchPhase::kEnded;
    results.end_ = has_ended ? std::min(state.results->last + 1, bounds->end) : bounds->end;
    return results;
  }

  // Each result of the batch's items, in the order of the offsets. An error of `told` ends it.
  using Told = std::function<Result<void>(const Record& record, const ResultMark& mark)>;
  Result<void> Read(Progress& progress, const Told& told) {
    return ReadRange(reader_, first_, end_, progress, [&](const Record& record) -> Result<void> {
      const auto mark = DecodeResultMark(record);
      if (!mark || mark->place.batch != ref_ || mark->place.index == kOnCompleteIndex) return {};
      return told(record, *mark);
    });
  }

 private:
  ResultReader(kafka::PartitionReader reader, BatchRef ref) : reader_(std::move(reader)), ref_(std::move(ref)) {}
  kafka::PartitionReader reader_;
  BatchRef ref_;
  std::int64_t first_ = 0;
  std::int64_t end_ = 0;
};

// Where the lines go.
class Files {
 public:
  static Result<Files> Create(const ResultFiles& wanted, Interrupts& interrupts) {
    Files files(interrupts);
    for (auto [path, file] : {std::pair{&wanted.out, &files.out_}, std::pair{&wanted.errors, &files.errors_}}) {
      if (path->empty()) continue;
      auto created = OutputFile::Create(*path);
      if (!created) return std::unexpected(created.error());
      *file = std::make_shared<OutputFile>(std::move(*created));
    }
    interrupts.TakeAway([out = files.out_, errors = files.errors_] {
      for (const auto& each : {out, errors}) {
        if (each) each->Abandon();
      }
    });
    return files;
  }
  ~Files() {
    if (interrupts_ != nullptr) interrupts_->TakeAway({});
  }
  Files(Files&& other) noexcept
      : interrupts_(std::exchange(other.interrupts_, nullptr)),
        out_(std::move(other.out_)),
        errors_(std::move(other.errors_)) {}
  Files& operator=(Files&&) = delete;

  Result<void> Write(std::string_view line, bool is_ok, bool failed_only) {
    if (out_ && (!is_ok || !failed_only)) {
      if (auto written = out_->Write(line); !written) return written;
    }
    return errors_ && !is_ok ? errors_->Write(line) : Result<void>();
  }
  Result<void> Commit() {
    for (const auto step : {&OutputFile::Finish, &OutputFile::Commit}) {
      for (const auto& each : {out_, errors_}) {
        if (!each) continue;
        if (auto done = ((*each).*step)(); !done) return done;
      }
    }
    return {};
  }

 private:
  explicit Files(Interrupts& interrupts) : interrupts_(&interrupts) {}
  Interrupts* interrupts_;
  std::shared_ptr<OutputFile> out_;
  std::shared_ptr<OutputFile> errors_;
};

Result<Lacking> Write(const Context& context, std::int32_t home, const BatchRef& ref, const BatchState& state,
                      const ResultFiles& wanted, Interrupts& interrupts) {
  Progress progress(stderr, ProgressKind(context));
  progress.Say("looking for the results of " + ref.batch.str());
  auto reader = ResultReader::Open(context, home, ref, state);
  if (!reader) return std::unexpected(reader.error());
  auto files = Files::Create(wanted, interrupts);
  if (!files) return std::unexpected(files.error());

  ResultPicks picks(state);
  const auto pick = [&picks](const Record& record, const ResultMark& mark) -> Result<void> {
    if (const auto result = DecodeReply(record)) {
      picks.Add(mark.place.index, mark.generation, ItemStatusOf(result->status), record.offset);
    }
    return {};
  };
  if (auto read = reader->Read(progress, pick); !read) return std::unexpected(read.error());
  picks.DropWhatRunsAgain();
  const Lacking lacking = WhatLacks(state, picks.Counts());

  const bool has_ended = state.phase == BatchPhase::kEnded;
  const bool only_failed = wanted.failed || wanted.out.empty();
  const auto wants = [&](std::int64_t index) {
    return picks.Has(index) && (!only_failed || picks.StatusOf(index) != ItemStatus::kOk);
  };
  const auto lacks = [&](std::int64_t index) { return has_ended && index < picks.total() && !picks.Has(index); };
  const bool some_lack = has_ended && picks.Counts().Total() < picks.total();
  const auto ids = some_lack ? ReadItemIds(context, home, ref, lacks, progress) : ItemIds();
  if (!ids) return std::unexpected(ids.error());
  const auto otherwise = [&](std::int64_t index) -> std::string {
    if (!lacks(index)) return "";
    const auto id = ids->find(index);
    return StatusLine(index, id != ids->end() ? id->second : "", lacking.status);
  };
  const auto give = [&](std::int64_t index, std::string_view line) {
    const ItemStatus status = picks.Has(index) ? picks.StatusOf(index) : lacking.status.value_or(ItemStatus::kPending);
    return files->Write(line, status == ItemStatus::kOk, only_failed);
  };
  progress.Say("writing the results of " + ref.batch.str());
  OrderedLines lines({picks.total(), wants, otherwise, give}, kSortWindowBytes);
  const auto put = [&](const Record& record, const ResultMark& mark) -> Result<void> {
    const std::int64_t index = mark.place.index;
    if (index >= picks.total() || picks.OffsetOf(index) != record.offset || !wants(index)) return {};
    const auto result = DecodeReply(record);
    if (!result) return {};
    std::string line = ResultLine(mark, *result);
    return wanted.unordered ? give(index, line) : lines.Put(index, std::move(line));
  };
  if (auto read = reader->Read(progress, put); !read) return std::unexpected(read.error());
  if (wanted.unordered) {
    for (std::int64_t index = 0; index < picks.total(); ++index) {
      const std::string line = otherwise(index);
      if (line.empty()) continue;
      if (auto given = give(index, line); !given) return std::unexpected(given.error());
    }
  } else if (auto finished = lines.Finish(); !finished) {
    return std::unexpected(finished.error());
  }
  if (auto committed = files->Commit(); !committed) return std::unexpected(committed.error());
  return lacking;
}

}  // namespace

Result<void> CheckFiles(const ResultFiles& files) {
  for (const std::string* path : {&files.out, &files.errors}) {
    if (path->empty()) continue;
    if (auto good = OutputFile::Check(*path); !good) return good;
  }
  return {};
}

int WriteResults(const Context& context, std::int32_t home, const BatchRef& ref, const BatchState& state,
                 const ResultFiles& files, Interrupts& interrupts) {
  interrupts.Mean("interrupted: no file was written");
  const auto lacking = Write(context, home, ref, state, files, interrupts);
  interrupts.Mean("interrupted");
  const std::int64_t there = state.counts.Total() - state.counts[ItemStatus::kPending];
  if (!lacking && lacking.error().code == Code::kNotFound) {
    return Report(
        Error{lacking.error().code, fmt::format("the results of {}: {}", ref.batch.str(), lacking.error().message)},
        fmt::format("{} items of it have ended; their results were on that topic", there));
  }
  if (!lacking && lacking.error().code == Code::kInvalid) {
    return Report(lacking.error(), fmt::format("the results stay on Kafka: {} writes them",
                                               Again(context, "results " + ref.batch.str() + " --out FILE")));
  }
  if (!lacking) return ReportKafka(context, lacking.error());
  if (lacking->removed == 0) return kFine;
  return Report(Error{Code::kNotFound, fmt::format("{} results of {} are not on {} any more", lacking->removed,
                                                   ref.batch.str(), TopicName(Topic::kBatchResults))},
                "they are kept for 7 days, unless an operator removes them; what is left was written");
}

int ShowOnComplete(const Context& context, std::int32_t home, const BatchRef& ref, const BatchState& state) {
  Progress progress(stderr, ProgressKind(context));
  progress.Say("looking for what ran on completion of " + ref.batch.str());
  auto reader = OpenResults(context, home);
  if (!reader) return ReportKafka(context, reader.error());
  const auto bounds = reader->Bounds(kServerTimeoutMs);
  if (!bounds) return ReportKafka(context, bounds.error());
  // It lies behind the results of all items.
  const std::int64_t first = std::max(state.results ? state.results->last : 0, bounds->start);
  std::string line;
  const auto read = ReadRange(*reader, first, bounds->end, progress, [&](const Record& record) -> Result<void> {
    const auto mark = DecodeResultMark(record);
    const bool is_it = mark && mark->place == ItemPlace{ref, kOnCompleteIndex} && mark->generation == state.generation;
    if (!is_it || !line.empty()) return {};
    if (const auto result = DecodeReply(record)) line = ResultLine(*mark, *result);
    return {};
  });
  progress.Stop();
  if (!read) return ReportKafka(context, read.error());
  if (!line.empty()) {
    Print("{}", line);
    return kFine;
  }
  return Report(Error{Code::kNotFound, "nothing has run on completion of " + ref.batch.str()},
                state.on_complete ? "its state was written to a topic, or the result is not there any more" : "");
}

}  // namespace hearth::tool
