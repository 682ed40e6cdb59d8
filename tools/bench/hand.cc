#include "tools/bench/hand.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/time.h"
#include "schemas/limits.h"
#include "tools/code/byte_code.h"

namespace hearth::bench {

Result<NoopFiles> ReadNoop(const std::string& python, const std::string& native) {
  auto python_files = tool::ReadCode(python);
  if (!python_files) return std::unexpected(python_files.error());
  auto byte_code = tool::CompilePython(*python_files);
  if (!byte_code) return std::unexpected(byte_code.error());
  std::ranges::move(*byte_code, std::back_inserter(*python_files));
  auto native_files = tool::ReadCode(native);
  if (!native_files) return std::unexpected(native_files.error());
  return NoopFiles{std::move(*python_files), std::move(*native_files)};
}

Result<Noop> MakeNoop(const NoopFiles& files, Runtime runtime, const std::string& marker, std::size_t bytes) {
  const bool python = runtime == Runtime::kPython3;
  Noop code;
  code.runtime = runtime;
  code.handler = python ? "noop.handler" : files.native.front().name;
  std::vector<tool::CodeFile> all = python ? files.python : files.native;
  all.push_back({"marker", marker, false});
  auto archive = tool::PackCode(all);
  if (archive && archive->size() < bytes) {
    all.back().content.resize(marker.size() + bytes - archive->size(), '#');
    archive = tool::PackCode(all);
  }
  if (!archive) return std::unexpected(archive.error());
  code.archive = std::move(*archive);
  code.hash = guest::HashOf(code.archive);
  return code;
}

Result<std::int64_t> Hand::Ping() {
  const std::int64_t begin_us = ReadClocks().mono_us;
  machine_.Send(0, guest::Ping{++pings_});
  if (auto pong = machine_.Expect<guest::Pong>(0); !pong) return FailWith("ping", pong.error());
  return ReadClocks().mono_us - begin_us;
}

Result<void> Hand::Configure() {
  machine_.Send(0, guest::Configure{MachineId("by-hand"), UserId("bench"), ReadClocks().wall_us, std::string(64, 'e')});
  if (auto done = machine_.Expect<guest::Configured>(0); !done) return FailWith("configure", done.error());
  return {};
}

Result<FirstSteps> Hand::FirstInstruction(const Noop& code) {
  constexpr std::int32_t kTimeoutMs = 20'000;
  const std::int64_t begin_us = ReadClocks().mono_us;
  const std::uint32_t number = ++containers_;
  FirstSteps steps;
  const bool is_new = stored_.insert(code.hash.value).second;
  if (is_new) {
    machine_.Send(0, guest::CodeOffer{code.hash, static_cast<std::int64_t>(code.archive.size())});
    for (std::size_t at = 0; at < code.archive.size(); at += kMaxCodeChunkBytes)
      machine_.Send(0, guest::CodeChunk{code.archive.substr(at, kMaxCodeChunkBytes)});
  }
  guest::Create create;
  create.code = code.hash;
  create.function = "bench/noop";
  create.version = 1;
  create.runtime = code.runtime;
  create.handler = code.handler;
  create.memory_mib = kDefaultMemoryMib;
  machine_.Send(number, create);
  if (is_new) {
    auto stored = machine_.Expect<guest::CodeStored>(0);
    if (!stored) return FailWith("code", stored.error());
    if (!stored->error.empty()) return Fail(Code::kInternal, "code: " + stored->error);
    steps.stored_us = ReadClocks().mono_us - begin_us;
  }
  auto created = machine_.Expect<guest::Created>(number);
  if (!created) return FailWith("container", created.error());
  if (!created->error.empty()) return Fail(Code::kInternal, "container: " + created->error);
  const std::int64_t sent_us = ReadClocks().mono_us;
  steps.created_us = sent_us - begin_us;
  machine_.Send(number, guest::Run{InvocationId("by-hand"), 1, kTimeoutMs, "", "", "null"});
  auto ended = machine_.Expect<guest::Ended>(number);
  if (!ended) return FailWith("run", ended.error());
  // As the executor does: half of the way there and back lies before the start.
  const std::int64_t took_us = ReadClocks().mono_us - sent_us;
  const std::int64_t way_us = std::max<std::int64_t>(0, (took_us - ended->total_us) / 2);
  steps.first_us = sent_us - begin_us + std::min(took_us, way_us + ended->start_us);
  if (ended->status != Status::kOk) return Fail(Code::kInternal, "run: " + ended->error_message);
  if (auto checked = machine_.Expect<guest::Checked>(number); !checked) return FailWith("check", checked.error());
  machine_.Send(number, guest::Remove{});
  if (auto gone = machine_.Expect<guest::ContainerGone>(number); !gone) return FailWith("remove", gone.error());
  return steps;
}

}  // namespace hearth::bench
