#include "tools/hearth/batch_submit.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "common/base/time.h"
#include "common/kafka/bulk_sender.h"
#include "schemas/batch_digest.h"
#include "schemas/batch_item.h"
#include "schemas/limits.h"
#include "schemas/request.h"
#include "tools/hearth/batch_ranges.h"
#include "tools/hearth/batch_text.h"
#include "tools/hearth/batch_watch.h"
#include "tools/hearth/registry.h"
#include "tools/hearth/ways_out.h"

namespace hearth::tool {
namespace {

constexpr std::int64_t kTakenMs = 30'000;       // that it is waited for the batch to be taken
constexpr std::int64_t kNoteEveryItems = 1000;  // items
constexpr std::string_view kNothingHappened = "interrupted: nothing was submitted, and no batch is there";

std::int64_t NowMs() {
  return ReadClocks().wall_us / kMicrosPerMilli;
}

// What the options say of the batch; its items are a count. The message of an error names the option.
Result<BatchSpec> SpecOf(const SubmitOptions& options) {
  BatchSpec spec;
  spec.function = FunctionName(options.function);
  spec.concurrency = options.concurrency;
  spec.priority = options.priority;
  spec.total = std::max<std::int64_t>(options.count, 1);
  spec.items = CountedItems{};
  if (!options.version.empty()) {
    const auto version = ParseVersion(options.version);
    if (!version) return FailWith("--version", version.error());
    spec.version = *version;
  }
  if (!options.tolerate.empty()) {
    const auto tolerance = ParseTolerance(options.tolerate);
    if (!tolerance) return FailWith("--tolerate", tolerance.error());
    spec.tolerance = *tolerance;
  }
  if (!options.on_complete.empty()) {
    auto on_complete = ParseOnComplete(options.on_complete);
    if (!on_complete) return FailWith("--on-complete", on_complete.error());
    spec.on_complete = std::move(*on_complete);
  }
  for (const std::string& label : options.labels) {
    if (auto added = AddLabel(spec.labels, label); !added) return FailWith("--label", added.error());
  }
  if (!options.deadline.empty()) {
    const auto deadline_ms = DeadlineAfter(options.deadline, NowMs());
    if (!deadline_ms) return FailWith("--deadline", deadline_ms.error());
    spec.deadline_ms = *deadline_ms;
  }
  if (auto valid = DecodeBatchSpec(EncodeBatchSpec(spec)); !valid) return std::unexpected(valid.error());
  return spec;
}

Result<void> CheckLine(const SubmitOptions& options) {
  if (options.file.empty() == (options.count == 0)) {
    return Fail(Code::kInvalid, options.count == 0 ? "FILE, or --count N, says what the items are"
                                                   : "the items are in FILE or are a --count, not both");
  }
  if (options.count > 0 && (options.envelope || !options.format.empty())) {
    return Fail(Code::kInvalid, "--format and --envelope are for a FILE");
  }
  if (options.envelope && !options.format.empty() && options.format != "jsonl") {
    return Fail(Code::kInvalid, "only jsonl has an --envelope");
  }
  if (!options.id.empty() && !IsBatchId(options.id)) {
    return Fail(Code::kInvalid, fmt::format("--id must be 1 to {} of [A-Za-z0-9._-]", kMaxBatchIdBytes));
  }
  if (!IsIdentifier(options.function)) {
    return Fail(Code::kInvalid, "the name of a function must be 1 to 128 of [A-Za-z0-9._-]: " + options.function);
  }
  if (!options.wait && (!options.results.empty() || options.results.unordered)) {
    return Fail(Code::kInvalid, "--out, --errors and --unordered are for results, so for --wait");
  }
  return {};
}

InputFormat FormatOf(const SubmitOptions& options) {
  if (options.format.empty()) {
    return options.file.ends_with(".csv") && !options.envelope ? InputFormat::kCsv : InputFormat::kJsonl;
  }
  return (*FindByName(kInputFormats, "format", options.format))->format;
}

class Submission {
 public:
  Submission(const Context& context, const SubmitOptions& options, BatchSpec spec)
      : context_(context),
        options_(options),
        spec_(std::move(spec)),
        ref_{UserId(context.user.value),
             options.id.empty() ? DefaultBatchId(options.file, spec_.function, NowMs()) : BatchId(options.id)} {
    interrupts_.Mean(std::string(kNothingHappened));
    progress_.emplace(stderr, ProgressKind(context));
  }

  int Run() {
    if (auto good = CheckFiles(options_.results); !good) return Ends(Report(good.error(), "nothing was sent"));
    if (auto checked = CheckItems(); !checked) return Ends(Report(checked.error(), "nothing was sent"));
    progress_->Say("asking Kafka at " + context_.bootstrap.value);
    const auto home =
        FindHome(context_, {Topic::kBatches, Topic::kBatchItems, Topic::kBatchState, Topic::kBatchResults});
    if (!home) return EndsKafka(home.error());
    home_ = *home;
    if (const int code = CheckFunctions(); code != kFine) return Ends(code);
    auto batch = BatchFollower::Open(context_, home_, ref_);
    if (!batch) return EndsKafka(batch.error());
    if (batch->state() && !IsUnknown(*batch->state()) && !IsRefused(*batch->state())) {
      if (batch->state()->digest != spec_.digest) return Ends(ReportOther(*batch->state(), "nothing was sent"));
      return Attached(*batch);
    }
    if (auto sent = SendItems(); !sent) {
      if (sent.error().code == Code::kUnavailable) return EndsKafka(sent.error());
      return Ends(Report(sent.error(), "no batch is there; items that were sent run never"));
    }
    if (auto written = WriteSpec(); !written) return ReportUnwritten(written.error());
    return Taken(*batch);
  }

 private:
  int Ends(int code) {
    progress_->Stop();
    return code;
  }
  int EndsKafka(const Error& error) {
    progress_->Stop();
    return ReportKafka(context_, error);
  }

  // Of the whole file, before anything is sent.
  Result<void> CheckItems() {
    if (options_.count > 0) {
      spec_.total = options_.count;
      spec_.digest = DigestOf(spec_);
      return {};
    }
    progress_->Say("checking " + (options_.file == "-" ? "the standard input" : options_.file));
    auto input = BatchInput::Open(options_.file, FormatOf(options_), options_.envelope);
    if (!input) return std::unexpected(input.error());
    const auto summary = input->Check(spec_.function);
    if (!summary) return std::unexpected(summary.error());
    spec_.total = summary->items;
    spec_.digest = summary->digest;
    input_.emplace(std::move(*input));
    return {};
  }

  int CheckFunctions() {
    progress_->Say("looking whether " + spec_.function.str() + " is deployed");
    if (const int code = CheckFunction(context_, spec_.function, spec_.version); code != kFine) return code;
    const OnComplete& on_complete = spec_.on_complete;
    if (!on_complete.function.empty()) return CheckFunction(context_, on_complete.function, kVersionOfOwner);
    if (on_complete.topic.empty()) return kFine;
    if (TopicNames().Own().contains(on_complete.topic)) {
      return ReportUsage("--on-complete: nothing goes to " + on_complete.topic + ", which is one of hearth's own");
    }
    const auto there = NeedTopic(context_, on_complete.topic);
    return there ? kFine : ReportKafka(context_, there.error());
  }

  Result<void> SendItems() {
    if (options_.count > 0) return {};
    progress_->Say("sending the items");
    RangeCollector ranges(home_);
    const std::string topic(TopicName(Topic::kBatchItems));
    auto sender = kafka::BulkSender::Open(context_.bootstrap.value, "hearth-cli", {topic, home_},
                                          [&ranges](std::int64_t offset) { ranges.Add(offset); });
    if (!sender) return std::unexpected(sender.error());
    ItemsDigest digest(spec_.function);
    ProgressCount count(*progress_);
    std::int64_t index = 0;
    for (;; ++index) {
      auto item = input_->Next();
      if (!item) return std::unexpected(item.error());
      if (!*item) break;
      digest.Add(**item);
      if (index >= spec_.total) break;
      if (auto sent = sender->Send(EncodeItem({ref_, index}, std::move(**item), topic)); !sent) return sent;
      if (index % kNoteEveryItems == 0) count.Note(index, spec_.total);
    }
    if (auto finished = sender->Finish(); !finished) return finished;
    if (index != spec_.total || digest.FinishHex() != spec_.digest) {
      return Fail(Code::kInvalid, options_.file + " was changed while it was read");
    }
    spec_.items = StoredItems{"", ranges.Finish()};
    return {};
  }

  Result<void> WriteSpec() {
    progress_->Say("submitting " + ref_.batch.str());
    // Sending may have taken long.
    if (spec_.deadline_ms != 0) spec_.deadline_ms = DeadlineAfter(options_.deadline, NowMs()).value();
    OutRecord record{std::string(TopicName(Topic::kBatches)),
                     FormatBatchKey({ref_, BatchKey::Kind::kSpec, {}}),
                     EncodeBatchSpec(spec_),
                     {}};
    if (record.value.size() > kMaxBatchSpecBytes) {
      return Fail(Code::kExhausted,
                  fmt::format("the spec has {} bytes; the limit is {}", record.value.size(), kMaxBatchSpecBytes));
    }
    record.partition = home_;
    interrupts_.Mean(fmt::format("interrupted: the batch {} may be there or not; {} tells", ref_.batch.str(),
                                 Again(context_, "status " + ref_.batch.str())));
    return ProduceOne(context_, std::move(record));
  }

  // What the owner makes of the spec.
  int Taken(BatchFollower& batch) {
    MeanDetach();
    progress_->Say("waiting for a dispatcher to take " + ref_.batch.str());
    const auto is_said = [](const BatchFollower& one) { return one.state() && !IsUnknown(*one.state()); };
    std::string missing;
    const auto taken = WaitFor(context_, batch, kTakenMs, is_said, *progress_, missing);
    if (!taken) return EndsKafka(taken.error());
    if (!*taken) {
      progress_->Stop();
      return Report(Error{Code::kDeadline, fmt::format("{} is submitted, and no dispatcher has taken it in {} s",
                                                       ref_.batch.str(), kTakenMs / 1000)},
                    fmt::format("{}it is taken once one is there; {} follows it\nhearth status tells what is missing",
                                missing.empty() ? "" : missing + "\n",
                                Again(context_, "status " + ref_.batch.str() + " --watch")));
    }
    const BatchState& state = *batch.state();
    if (!IsRefused(state) && state.digest != spec_.digest) {
      return Ends(ReportOther(state, "another client was faster; what was sent from here runs never"));
    }
    return Goes(batch, false);
  }

  int Attached(BatchFollower& batch) {
    progress_->Stop();
    MeanDetach();
    if (!context_.quiet) {
      PrintError("hearth: {} is there already, with the same items: nothing was sent, and it keeps its options ({})\n",
                 ref_.batch.str(), Shown(ShowWhatIsThere(*batch.state())));
    }
    return Goes(batch, true);
  }

  // It is ours and there.
  int Goes(BatchFollower& batch, bool attached) {
    progress_->Stop();
    const BatchState& state = *batch.state();
    if (IsRefused(state)) {
      return Report(Error{Code::kInvalid, fmt::format("{} was refused: {}", ref_.batch.str(), state.reason)},
                    "once that is mended, submit it again");
    }
    const std::string watch = Again(context_, "status " + ref_.batch.str() + " --watch");
    if (context_.json) {
      const nlohmann::json json = {{"id", ref_.batch.str()}, {"user", ref_.user.str()}, {"total", spec_.total},
                                   {"digest", spec_.digest}, {"attached", attached},    {"wait", watch}};
      fmt::print("{}\n", json.dump(-1, ' ', true));
    } else if (!options_.wait) {
      Print("{}\n", ref_.batch.str());
      if (!context_.quiet) PrintError("hearth: {} items; {} waits for them\n", spec_.total, watch);
    }
    if (!options_.wait) return kFine;
    return WaitForEnd(context_, home_, batch, state.generation, options_.results, interrupts_);
  }

  int ReportUnwritten(const Error& error) {
    progress_->Stop();
    const std::string way_out = KafkaWayOut(context_, error);
    return Report(error,
                  fmt::format("{}{}the batch {} may be there or not; {} tells", way_out, way_out.empty() ? "" : "\n",
                              ref_.batch.str(), Again(context_, "status " + ref_.batch.str())));
  }

  int ReportOther(const BatchState& state, std::string_view so) {
    return Report(Error{Code::kInvalid, fmt::format("a batch {} with other items is there: {}", ref_.batch.str(),
                                                    ShowWhatIsThere(state))},
                  fmt::format("{}\nanother --id submits it; {} tells of the one that is there", so,
                              Again(context_, "status " + ref_.batch.str())));
  }

  void MeanDetach() {
    interrupts_.Mean(fmt::format("detached: the batch runs on; {} attaches again, {} cancels it",
                                 Again(context_, "status " + ref_.batch.str() + " --watch"),
                                 Again(context_, "cancel " + ref_.batch.str())));
  }

  const Context& context_;
  const SubmitOptions& options_;
  BatchSpec spec_;
  const BatchRef ref_;
  Interrupts interrupts_;  // before what has threads
  std::optional<Progress> progress_;
  std::optional<BatchInput> input_;
  std::int32_t home_ = 0;
};

}  // namespace

int CheckFunction(const Context& context, const FunctionName& function, std::int64_t version) {
  const auto functions = ReadFunctions(context);
  if (!functions) return ReportKafka(context, functions.error());
  const auto found = functions->find(FunctionKey(UserId(context.user.value), function));
  if (found == functions->end()) {
    return Report(Error{Code::kNotFound, fmt::format("{} has no function {}", context.user.value, function.str())},
                  FunctionWayOut(context.user, function.str(), NamesOf(*functions)));
  }
  if (version <= 0 || found->second.version == version) return kFine;
  return Report(
      Error{Code::kNotFound, fmt::format("{} has version {}, not {}", function.str(), found->second.version, version)},
      "only the version that is deployed can run; without --version it is that one");
}

int WaitForEnd(const Context& context, std::int32_t home, BatchFollower& batch, std::int32_t generation,
               const ResultFiles& results, Interrupts& interrupts) {
  const auto state = Watch(context, batch, generation);
  if (!state) return ReportKafka(context, state.error());
  TellEnd(context, batch.ref(), *state);
  if (!results.empty()) {
    if (const int code = WriteResults(context, home, batch.ref(), *state, results, interrupts); code != kFine)
      return code;
  }
  return ExitOf(*state);
}

int Submit(const Context& context, const SubmitOptions& options) {
  if (auto good = CheckLine(options); !good) return ReportUsage(good.error().message);
  auto spec = SpecOf(options);
  if (!spec) return ReportUsage(spec.error().message);
  return Submission(context, options, std::move(*spec)).Run();
}

}  // namespace hearth::tool
