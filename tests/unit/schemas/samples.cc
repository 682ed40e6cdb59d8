#include "samples.h"

#include "schemas/batch_digest.h"

namespace hearth::samples {

Function SampleFunction() {
  Function f;
  f.user = UserId("alice");
  f.name = FunctionName("resize");
  f.version = 1700000000123;
  f.code = CodeHash(std::string(64, 'a'));
  f.code_bytes = 4096;
  f.handler = "main.handler";
  f.environment = {{"MODE", "fast"}};
  return f;
}

Request SampleRequest(RequestForm form) {
  Request r;
  r.form = form;
  r.id = InvocationId("inv-1");
  r.user = UserId("alice");
  r.function = FunctionName("resize");
  r.reply_to = "reply.alice";
  r.order_key = "cart-7";
  r.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  r.content_type = "application/json";
  r.expires_ms = 1900000000000;
  r.timeout_ms = 2500;
  r.payload = R"({"a":1})";
  return r;
}

InvocationResult SampleResult() {
  InvocationResult r;
  r.id = InvocationId("inv-1");
  r.user = UserId("alice");
  r.function = FunctionName("resize");
  r.version = 1700000000123;
  r.status = Status::kError;
  r.error_type = "ValueError";
  r.error_message = "too small";
  r.output = R"({"w":3})";
  r.content_type = "application/json";
  r.attempt = 2;
  r.start_path = StartPath::kPool;
  r.times = {1000, 2000, 3000, 4000, 5000, 6000};
  r.epoch = 7;
  r.executor = ExecutorId("executor-1");
  r.machine = MachineId("i-1");
  r.container = ContainerId("i-1/1");
  r.acceleration = "kvm";
  r.billed_ms = 12;
  r.memory_peak_bytes = 1 << 20;
  r.log_tail = "hello\n";
  r.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  r.why = "decided=path expected=pool rung=pool because=pool";
  return r;
}

Usage SampleUsage() {
  return Usage{InvocationId("inv-1"),
               UserId("alice"),
               FunctionName("resize"),
               5,
               2,
               Status::kOom,
               StartPath::kCached,
               1000,
               2000,
               1,
               128,
               999,
               77,
               ExecutorId("executor-1"),
               MachineId("i-1")};
}

std::vector<BatchSpec> BatchSpecs() {
  BatchSpec stored;
  stored.function = FunctionName("resize");
  stored.version = 1700000000123;
  stored.total = 150;
  stored.digest = std::string(64, 'd');
  stored.concurrency = 8;
  stored.priority = 90;
  stored.tolerance = Tolerance{5, true};
  stored.deadline_ms = 1700000600000;
  stored.labels = {{"team", "photos"}, {"run", "nightly"}};
  stored.on_complete.topic = "photos.done";
  stored.items = StoredItems{"", {{3, 1000, 1099}, {3, 1200, 1249}}};
  BatchSpec list;
  list.function = FunctionName("resize");
  list.version = kVersionNewest;
  list.total = 2;
  list.tolerance = Tolerance{1, false};
  list.on_complete.function = FunctionName("report");
  list.items = InlineItems{{R"({"a":1})", "null"}};
  list.digest = DigestOf(list);
  BatchSpec counted;
  counted.function = FunctionName("resize");
  counted.total = 1000;
  counted.items = CountedItems{};
  counted.digest = DigestOf(counted);
  return {stored, list, counted};
}

std::vector<Want> Wants() {
  WantRedrive redrive;
  redrive.generation = 2;
  redrive.version = 1700000000456;
  return {WantRun{RunWish::kCancelNow},      WantConcurrency{16},         WantPriority{1},
          WantTolerance{Tolerance{2, true}}, WantDeadline{1700000900000}, redrive};
}

BatchState SampleBatchState() {
  BatchState state;
  state.phase = BatchPhase::kEnded;
  state.outcome = BatchOutcome::kPartial;
  state.reason = "tolerance";
  state.function = FunctionName("resize");
  state.version = 1700000000123;
  state.generation = 1;
  state.selection = StatusSelection::Default();
  state.total = 150;
  state.counts[ItemStatus::kOk] = 140;
  state.counts[ItemStatus::kError] = 7;
  state.counts[ItemStatus::kGone] = 3;
  state.digest = std::string(64, 'd');
  state.times = {1700000000000, 1700000000040, 1700000012000, 1700000600000, 1700000012001};
  state.concurrency = 8;
  state.priority = 90;
  state.tolerance = Tolerance{5, true};
  state.labels = {{"team", "photos"}, {"run", "nightly"}};
  state.results = ResultOffsets{70, 230};
  state.on_complete = ItemStatus::kTimeout;
  state.rate_per_min = 750;
  state.estimate_ms = 1700000012000;
  state.epoch = 9;
  return state;
}

PlacedItem SampleItem() {
  return {{{UserId("alice"), BatchId("nightly-1")}, 41},
          {R"({"photo":7})", "application/json", "photo 7", "album-3", 2500}};
}

ResultMark SampleMark() {
  return {SampleItem().place, "photo 7", 2};
}

std::vector<link::Message> LinkMessages() {
  using namespace link;
  const AttemptRef ref{{"hearth.invoke.rt", 3}, 42, 7, 2};
  const Slot slot{
      UserId("alice"), MachineId("i-1"), ContainerId("i-1/1"), FunctionName("resize"), 5, SlotState::kBusy, 128, 99};
  const ProfileCapacity capacity{"default", 1, 2, 3};
  Exec exec;
  exec.ref = ref;
  exec.id = InvocationId("inv-1");
  exec.final_try = true;
  exec.form = RequestForm::kJson;
  exec.reply_to = "hearth.reply";
  exec.timeout_ms = 100;
  exec.times.received_us = 5;
  exec.function_number = 9;
  exec.payload = std::string("\0\xff", 2);
  exec.why = "decided=path expected=pool";
  const Done done{ref,    InvocationId("inv-1"), Outcome::kFailed,  Status::kTimeout, "timeout",
                  "late", StartPath::kBoot,      {1, 2, 3, 4, 5, 6}};
  return {DispatcherHello{1, DispatcherId("d-1"), std::string(64, 'd')},
          ExecutorHello{1, ExecutorId("executor-1"), "abc", "tcg", 64, false, {capacity}, {slot}, 16},
          exec,
          Fence{{"hearth.invoke.rt", 3}, 8, 40},
          Cancel{ref},
          DoneAck{ref},
          Nack{ref, NackReason::kDraining},
          done,
          FenceReport{{"hearth.invoke.rt", 3}, 8, {{ref, InvocationId("inv-1"), 5}}, {done}, true, true},
          Heartbeat{9, -5, 64, 3, true, {capacity}, 16},
          HeartbeatAck{9, -5, 3},
          SlotReport{{slot, slot}},
          Demand{{{"default", 7}, {"large", 1}}},
          Drop{ref},
          Challenge{1, ExecutorId("executor-1"), std::string(64, 'a'), std::string(64, 'b')},
          Proof{std::string(64, 'c')},
          FunctionDescription{9, SampleFunction()}};
}

link::Exec SampleExecOfItem() {
  const PlacedItem item = SampleItem();
  link::Exec exec;
  exec.ref = {{FormatBatchRef(item.place.batch), 3}, 41, 7, 1, 2};
  exec.id = ItemInvocationId(item.place.batch.batch, item.place.index, 2);
  exec.reply_to = "hearth.batch.results";
  exec.payload = item.item.payload;
  exec.item = link::ItemOfBatch{item.place.index, item.item.item_id, 2};
  return exec;
}

link::Done SampleDoneWithOffset() {
  link::Done done;
  done.ref = SampleExecOfItem().ref;
  done.id = SampleExecOfItem().id;
  done.reply_offset = 70'000;
  return done;
}

std::vector<guest::Message> GuestMessages() {
  using namespace guest;
  Ended ended;
  ended.id = InvocationId("inv-1");
  ended.status = Status::kOom;
  ended.output = "out";
  ended.log_tail = std::string("\xff\0x", 3);
  ended.run_us = 10;
  return {
      Hello{1, "0.1.0", std::string(32, '0'), {"python3", "native"}, 1 << 29},
      Configure{MachineId("i-1"), UserId("alice"), 1700000000000000, std::string(64, '\x01')},
      Configured{std::string(32, 'f')},
      CodeOffer{CodeHash(std::string(64, 'a')), 4096},
      CodeChunk{"raw bytes"},
      CodeStored{CodeHash(std::string(64, 'a')), ""},
      Create{CodeHash(std::string(64, 'a')), "alice/resize", 5, Runtime::kNative, "bin/run", 128, {{"MODE", "fast"}}},
      Created{"no room"},
      Run{InvocationId("inv-1"), 2, 3000, "text/plain", "", "in"},
      ended,
      Remove{},
      ContainerGone{"killed"},
      Ping{5},
      Pong{5},
      Greet{},
      WarmUp{},
      Warmed{{"python3", "native"}},
      Checked{77, true}};
}

Record Received(const OutRecord& sent) {
  return Record{{sent.topic, 3}, 42, 1700000000000, sent.key, sent.value, sent.headers};
}

std::string Printed(const OutRecord& record) {
  std::string text;
  for (const auto& header : record.headers) text += header.name + ": " + header.value + "\n";
  return text + "\n" + record.value;
}

std::map<std::string, std::string> Golden() {
  std::map<std::string, std::string> files;
  files["function.v1"] = EncodeFunction(SampleFunction());
  files["usage.v1"] = EncodeUsage(SampleUsage());
  const char* const names[] = {"headers", "msgpack", "json", "ce-binary", "ce-structured"};
  for (const auto form : kForms) {
    const std::string name = names[static_cast<std::size_t>(form)];
    files["request-" + name + ".v1"] = Printed(EncodeRequest(SampleRequest(form), "hearth.invoke.std"));
    files["reply-" + name + ".v1"] = Printed(EncodeReply(SampleResult(), form, "hearth.reply"));
  }
  const char* const sources[] = {"stored", "inline", "count"};
  for (const auto& spec : BatchSpecs()) {
    files[std::string("batch-spec-") + sources[spec.items.index()] + ".v1"] = EncodeBatchSpec(spec);
  }
  for (const auto& want : Wants()) {
    files["batch-want-" + std::string(kWantFields.at(want.index()).name) + ".v1"] = EncodeWant(want);
  }
  files["batch-state.v1"] = EncodeBatchState(SampleBatchState());
  files["batch-item.v1"] = Printed(EncodeItem(SampleItem().place, SampleItem().item, "hearth.batch.items"));
  OutRecord reply{"hearth.batch.results", "", "", {}};
  MarkResult(SampleMark(), reply);
  files["batch-result.v1"] = Printed(reply);
  const auto two = [](std::size_t number) { return (number < 10 ? "0" : "") + std::to_string(number); };
  for (const auto& message : LinkMessages()) {
    (void)link::AppendLinkMessage(files["link-" + two(message.index() + 1) + ".v1"], message);  // an empty file tells
  }
  (void)link::AppendLinkMessage(files["link-03-item.v1"], SampleExecOfItem());
  (void)link::AppendLinkMessage(files["link-08-offset.v1"], SampleDoneWithOffset());
  for (const auto& message : GuestMessages()) {
    (void)guest::AppendGuestFrame(files["guest-" + two(message.index() + 1) + ".v1"], {9, message});
  }
  return files;
}

}  // namespace hearth::samples
