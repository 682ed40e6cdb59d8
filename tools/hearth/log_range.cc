#include "tools/hearth/log_range.h"

#include <string>

#include "common/base/time.h"

namespace hearth::tool {
namespace {

constexpr std::int64_t kRangeTurnMs = 200;
constexpr std::int64_t kSilenceMs = 20'000;         // reading that gets nothing for so long is given up
constexpr std::int64_t kNoteEveryRecords = 10'000;  // records

}  // namespace

Result<void> ReadRange(kafka::PartitionReader& reader, std::int64_t first, std::int64_t end, Progress& progress,
                       const std::function<Result<void>(const Record& record)>& told) {
  if (first >= end) return {};
  if (auto begun = reader.Seek(first); !begun) return begun;
  ProgressCount noted(progress);
  std::int64_t heard_us = ReadClocks().mono_us;
  std::string trouble = "no records came in time";
  for (std::int64_t count = 0; reader.position() < end; ++count) {
    const std::int64_t before = reader.position();
    const auto record = reader.Next(kRangeTurnMs);
    if (!record && record.error().code == Code::kNotFound) return std::unexpected(record.error());
    if (!record) trouble = record.error().message;
    if (reader.position() > before) {
      heard_us = ReadClocks().mono_us;
    } else if (ReadClocks().mono_us - heard_us > kSilenceMs * kMicrosPerMilli) {
      return Fail(Code::kUnavailable, trouble);
    }
    if (count % kNoteEveryRecords == 0) noted.Note(reader.position() - first, end - first);
    if (!record || !*record || (*record)->offset >= end) continue;
    if (auto taken = told(**record); !taken) return taken;
  }
  return {};
}

}  // namespace hearth::tool
