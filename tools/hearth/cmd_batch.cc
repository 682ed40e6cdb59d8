// hearth batch submit | status | list | results | pause | resume | cancel | set | redrive | partition
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "common/base/time.h"
#include "schemas/limits.h"
#include "tools/hearth/batch_control.h"
#include "tools/hearth/batch_list.h"
#include "tools/hearth/batch_results.h"
#include "tools/hearth/batch_store.h"
#include "tools/hearth/batch_submit.h"
#include "tools/hearth/batch_text.h"
#include "tools/hearth/batch_watch.h"
#include "tools/hearth/options.h"
#include "tools/hearth/ways_out.h"

namespace hearth::tool {
namespace {

constexpr const char* kResults = "Results";

// A batch of the user's whose state is there; else the exit code of what was reported.
std::expected<FoundBatch, int> Open(const Context& context, const std::string& id) {
  if (!IsBatchId(id)) {
    return std::unexpected(
        ReportUsage(fmt::format("a batch's id must be 1 to {} of [A-Za-z0-9._-]", kMaxBatchIdBytes)));
  }
  Progress progress(stderr, ProgressKind(context));
  progress.Say("asking Kafka at " + context.bootstrap.value);
  auto found = FindBatch(context, {UserId(context.user.value), BatchId(id)}, {Topic::kBatchState});
  progress.Stop();
  if (!found) return std::unexpected(ReportKafka(context, found.error()));
  const auto& state = found->batch.state();
  if (!state || IsUnknown(*state)) return std::unexpected(ReportUnknownBatch(context, found->batch.ref()));
  return std::move(*found);
}

int ShowBatch(const Context& context, const std::string& id, bool watch) {
  Interrupts interrupts;  // before what has threads
  interrupts.Mean("interrupted: the batch is not touched by that");
  auto opened = Open(context, id);
  if (!opened) return opened.error();
  const BatchState& state = *opened->batch.state();
  if (watch) return WaitForEnd(context, opened->home, opened->batch, state.generation, {}, interrupts);
  if (context.json) {
    PrintJson(StateJson(opened->batch.ref(), state));
  } else {
    Print("{}", ShowState(opened->batch.ref(), state, ReadClocks().wall_us / kMicrosPerMilli));
    if (state.phase == BatchPhase::kPaused && !context.quiet) {
      PrintError("hearth: {}\n", ResumeHint(context, opened->batch.ref()));
    }
  }
  return ExitOf(state);
}

int ListBatches(const Context& context, BatchChoice choice, const std::vector<std::string>& labels) {
  for (const std::string& label : labels) {
    if (auto added = AddLabel(choice.labels, label); !added) return ReportUsage("--label: " + added.error().message);
  }
  Progress progress(stderr, ProgressKind(context));
  progress.Say("asking Kafka at " + context.bootstrap.value);
  const auto batches = ReadBatches(context, choice);
  progress.Stop();
  if (!batches) return ReportKafka(context, batches.error());
  if (context.json) {
    PrintJson(BatchesJson(UserId(context.user.value), *batches));
  } else {
    Print("{}", BatchTable(*batches));
  }
  return kFine;
}

// For producers that have no partitioner of Kafka's Java client.
int ShowPartition(const Context& context) {
  const auto homes = FindHomes(context, {Topic::kBatches});
  if (!homes) return ReportKafka(context, homes.error());
  if (context.json) {
    PrintJson({{"user", context.user.value}, {"partition", homes->front()}, {"partitions", homes->size()}});
  } else {
    Print("{}\n", homes->front());
  }
  return kFine;
}

int ShowResults(const Context& context, const std::string& id, ResultFiles files, bool on_complete) {
  Interrupts interrupts;  // before what has threads
  interrupts.Mean("interrupted: no file was written");
  auto opened = Open(context, id);
  if (!opened) return opened.error();
  const BatchState& state = *opened->batch.state();
  if (on_complete) return ShowOnComplete(context, opened->home, opened->batch.ref(), state);
  if (files.empty()) files.out = "-";
  const int code = WriteResults(context, opened->home, opened->batch.ref(), state, files, interrupts);
  if (code == kFine && state.phase != BatchPhase::kEnded && !context.quiet) {
    PrintError("hearth: {} of {} items have not ended yet\n", state.counts[ItemStatus::kPending], state.total);
  }
  return code;
}

CLI::App& Add(CLI::App& batch, const char* name, const char* what) {
  return *batch.add_subcommand(name, what);
}

void AddId(CLI::App& command, std::string& id) {
  command.add_option("id", id, "the batch")->required()->type_name("ID");
}

void AddFiles(CLI::App& command, ResultFiles& files) {
  command.add_option("--out", files.out, "write the results there, an object a line; - is the standard output")
      ->type_name("FILE")
      ->group(kResults);
  command.add_option("--errors", files.errors, "write those that are not ok there")->type_name("FILE")->group(kResults);
  command.add_flag("--unordered", files.unordered, "as they ended, and not in the order of the input")->group(kResults);
}

void AddSubmit(CLI::App& batch, Context& context, Command& chosen) {
  auto options = std::make_shared<SubmitOptions>();
  auto& submit = Add(batch, "submit", "run a function for each item of a file");
  submit.add_option("file", options->file, "the items; - is the standard input")->type_name("FILE");
  constexpr const char* kBatch = "Batch";
  submit.add_option("--fn", options->function, "the function")->required()->type_name("NAME")->group(kBatch);
  submit.add_option("--id", options->id, "of the batch; the file's name and the time where absent")
      ->type_name("ID")
      ->group(kBatch);
  constexpr const char* kItems = "Items";
  std::vector<std::string> formats;
  for (const InputFormatRow& row : kInputFormats) formats.emplace_back(row.name);
  submit.add_option("--format", options->format, "of the file; where absent csv for *.csv, else jsonl")
      ->check(CLI::IsMember(formats))
      ->type_name("FORMAT")
      ->group(kItems);
  submit.add_flag("--envelope", options->envelope, "each line is {\"id\", \"in\", \"order_key\", \"timeout_ms\"}")
      ->group(kItems);
  submit.add_option("--count", options->count, "instead of a file: so many items {\"index\": I}")
      ->check(Between(1, kMaxBatchItems))
      ->type_name("N")
      ->group(kItems);
  constexpr const char* kRun = "Run";
  submit.add_option("--concurrency", options->concurrency, "items at once; 0: as many as the user's share allows")
      ->check(Between(0, kMaxBatchConcurrency))
      ->type_name("N")
      ->group(kRun)
      ->capture_default_str();
  submit.add_option("--priority", options->priority, "beside other batches of the user")
      ->check(Between(1, kMaxBatchPriority))
      ->type_name("N")
      ->group(kRun)
      ->capture_default_str();
  submit.add_option("--tolerate", options->tolerate, "cancel the rest once more have failed; where absent all run")
      ->type_name("N|N%")
      ->group(kRun);
  submit
      .add_option("--deadline", options->deadline,
                  "what has not run after so long expires, as 6h; at most 7d; 1d where absent")
      ->type_name("SPAN")
      ->group(kRun);
  submit
      .add_option("--version", options->version,
                  "of the function: the one that is deployed, by its number, or newest: "
                  "whichever is deployed when an item starts")
      ->type_name("VERSION")
      ->group(kRun);
  Repeated(submit.add_option("--label", options->labels, "a name for people, and for list --label")
               ->type_name("NAME=VALUE")
               ->group(kRun));
  submit
      .add_option("--on-complete", options->on_complete, "a function to run at the end, or topic:NAME to tell it there")
      ->type_name("FUNCTION")
      ->group(kRun);
  submit.add_flag("--wait", options->wait, "until it has ended")->group(kResults);
  AddFiles(submit, options->results);
  Choose(submit, chosen, [&context, options] { return Submit(context, *options); });
}

void AddLooking(CLI::App& batch, Context& context, Command& chosen) {
  struct Looking {
    std::string id;
    bool watch = false;
    BatchChoice choice;
    std::vector<std::string> labels;
    bool on_complete = false;
    ResultFiles files;
  };
  auto options = std::make_shared<Looking>();
  auto& status = Add(batch, "status", "how far a batch is");
  AddId(status, options->id);
  status.add_flag("--watch", options->watch, "until it has ended");
  Choose(status, chosen, [&context, options] { return ShowBatch(context, options->id, options->watch); });
  auto& list = Add(batch, "list", "the batches of the user, the newest first");
  list.add_flag("--running", options->choice.running, "without those that have ended");
  Repeated(
      list.add_option("--label", options->labels, "only those that were submitted with it")->type_name("NAME=VALUE"));
  Choose(list, chosen, [&context, options] { return ListBatches(context, options->choice, options->labels); });
  auto& results = Add(batch, "results", "what came of the items, an object a line");
  AddId(results, options->id);
  results.add_flag("--failed", options->files.failed, "only what is not ok")->group(kResults);
  results
      .add_flag("--on-complete", options->on_complete, "of the function that ran at the end, in place of the items'")
      ->group(kResults);
  AddFiles(results, options->files);
  Choose(results, chosen,
         [&context, options] { return ShowResults(context, options->id, options->files, options->on_complete); });
}

void AddPartition(CLI::App& batch, Context& context, Command& chosen) {
  auto& partition = Add(batch, "partition", "of the topics of batches, the one that the user's are written to");
  Choose(partition, chosen, [&context] { return ShowPartition(context); });
}

void AddControl(CLI::App& batch, Context& context, Command& chosen) {
  struct Controlled {
    std::string id;
    bool now = false;
    SetBatchOptions set;
    RedriveOptions redrive;
  };
  auto options = std::make_shared<Controlled>();
  auto& pause = Add(batch, "pause", "start no more items of it until it is resumed");
  AddId(pause, options->id);
  Choose(pause, chosen, [&context, options] { return PauseBatch(context, options->id); });
  auto& resume = Add(batch, "resume", "go on with a batch that pauses");
  AddId(resume, options->id);
  Choose(resume, chosen, [&context, options] { return ResumeBatch(context, options->id); });
  auto& cancel = Add(batch, "cancel", "start no more items of it, ever; what runs may finish");
  AddId(cancel, options->id);
  cancel.add_flag("--now", options->now, "end what runs too");
  Choose(cancel, chosen, [&context, options] { return CancelBatch(context, options->id, options->now); });
  auto& set = Add(batch, "set", "change how a batch runs");
  AddId(set, options->id);
  set.add_option("--concurrency", options->set.concurrency, "items at once; 0: as many as the user's share allows")
      ->check(Between(0, kMaxBatchConcurrency))
      ->type_name("N");
  set.add_option("--priority", options->set.priority, "beside other batches of the user")
      ->check(Between(1, kMaxBatchPriority))
      ->type_name("N");
  set.add_option("--tolerate", options->set.tolerate, "cancel the rest once more have failed; none: all run")
      ->type_name("N|N%");
  set.add_option("--deadline", options->set.deadline, "what has not run so long from now on expires, as 6h")
      ->type_name("SPAN");
  Choose(set, chosen, [&context, options] { return SetBatch(context, options->id, options->set); });
  auto& redrive = Add(batch, "redrive", "run items of a batch that has ended again");
  AddId(redrive, options->id);
  redrive
      .add_option("--status", options->redrive.status,
                  "which: those of these statuses, with commas between; where "
                  "absent error,timeout,oom,poison")
      ->type_name("STATUSES");
  redrive.add_option("--version", options->redrive.version, "as of submit; where absent the one that it ran with last")
      ->type_name("VERSION");
  redrive.add_flag("--wait", options->redrive.wait, "until it has ended")->group(kResults);
  AddFiles(redrive, options->redrive.results);
  Choose(redrive, chosen, [&context, options] { return RedriveBatch(context, options->id, options->redrive); });
}

}  // namespace

void AddBatch(CLI::App& app, Context& context, Command& chosen) {
  auto* batch = app.add_subcommand("batch", "many items submitted as one: submit, follow, results, run failures again");
  batch->group(kFunctionCommands);
  batch->require_subcommand(1);
  AddSubmit(*batch, context, chosen);
  AddLooking(*batch, context, chosen);
  AddControl(*batch, context, chosen);
  AddPartition(*batch, context, chosen);
}

}  // namespace hearth::tool
