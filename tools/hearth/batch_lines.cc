#include "tools/hearth/batch_lines.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/base64.h"
#include "schemas/json_text.h"
#include "schemas/request_fields.h"

namespace hearth::tool {
namespace {

constexpr std::int64_t kNowhere = -1;
constexpr std::size_t kBytesBesideLine = 128;  // that a line takes in memory while it is held

// As it stands, but in one line: a newline can only stand between the parts of a JSON text.
std::string InOneLine(std::string json) {
  for (char& c : json) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return json;
}

bool MayBeJson(std::string_view content_type) {
  return content_type.empty() || content_type.find("json") != std::string_view::npos;
}

std::string OutputPart(const InvocationResult& result) {
  if (MayBeJson(result.content_type) && nlohmann::json::accept(result.output)) {
    return "\"out\":" + InOneLine(result.output);
  }
  if (fields::IsUtf8(result.output)) return "\"out\":" + fields::DumpJson(result.output);
  return "\"out_base64\":\"" + Base64Encode(result.output) + "\"";
}

std::string HeadOfLine(std::int64_t index, const std::string& item_id, std::string_view status) {
  return fmt::format(R"({{"i":{},"id":{},"status":{},)", index, item_id.empty() ? "null" : fields::DumpJson(item_id),
                     status);
}

std::string ErrorPart(std::string_view type, std::string_view message) {
  return fmt::format(R"("error_type":{},"error_message":{})", fields::DumpJson(std::string(type)),
                     fields::DumpJson(std::string(message)));
}

std::string_view WhyNoResult(std::optional<ItemStatus> status) {
  if (status == ItemStatus::kCancelled) return "it had not started when the batch was cancelled";
  if (status == ItemStatus::kExpired) return "it had not started when the deadline passed";
  if (status == ItemStatus::kGone) return "it did not lie where the batch says";
  return "its result is not there any more";
}

std::unexpected<Error> SpoolFailed(int error) {
  return Fail(Code::kInvalid,
              fmt::format("cannot sort the results in the folder for temporary files: {}", std::strerror(error)));
}

Result<Fd> OpenSpool() {
  std::error_code error;
  std::string path = (std::filesystem::temp_directory_path(error) / "hearth-results-XXXXXX").string();
  Fd fd(mkostemp(path.data(), O_CLOEXEC));
  if (!fd) return SpoolFailed(errno);
  unlink(path.c_str());
  return fd;
}

}  // namespace

std::string ResultLine(const ResultMark& mark, const InvocationResult& result) {
  const std::string head =
      HeadOfLine(mark.place.index, mark.item_id, "\"" + std::string(StatusName(result.status)) + "\"");
  if (result.status == Status::kOk) return head + OutputPart(result) + "}\n";
  return head + ErrorPart(result.error_type, result.error_message) + "}\n";
}

std::string StatusLine(std::int64_t index, const std::string& item_id, std::optional<ItemStatus> status) {
  const std::string shown = status ? "\"" + std::string(RowOf(*status).name) + "\"" : "null";
  return HeadOfLine(index, item_id, shown) + ErrorPart("NoResult", WhyNoResult(status)) + "}\n";
}

Result<void> OrderedLines::Put(std::int64_t index, std::string line) {
  held_bytes_ += line.size() + kBytesBesideLine;
  held_.emplace(index, std::move(line));
  if (auto given = Advance(); !given) return given;
  return held_bytes_ > window_bytes_ ? Spool() : Result<void>();
}

Result<void> OrderedLines::Advance() {
  for (; next_ < order_.total; ++next_) {
    if (!order_.comes(next_)) {
      const std::string line = order_.otherwise(next_);
      if (line.empty()) continue;
      if (auto given = order_.give(next_, line); !given) return given;
      continue;
    }
    if (!held_.empty() && held_.begin()->first == next_) {
      const auto node = held_.extract(held_.begin());
      held_bytes_ -= node.mapped().size() + kBytesBesideLine;
      if (auto given = order_.give(next_, node.mapped()); !given) return given;
      continue;
    }
    const std::int64_t place = places_.empty() ? kNowhere : places_[static_cast<std::size_t>(next_)];
    if (place == kNowhere) return {};
    const auto line = Unspool(place);
    if (!line) return std::unexpected(line.error());
    if (auto given = order_.give(next_, *line); !given) return given;
  }
  return {};
}

Result<void> OrderedLines::Spool() {
  if (!spool_) {
    auto opened = OpenSpool();
    if (!opened) return std::unexpected(opened.error());
    spool_ = std::move(*opened);
    places_.assign(static_cast<std::size_t>(order_.total), kNowhere);
  }
  // The size of each before it.
  std::string bytes;
  for (const auto& [index, line] : held_) {
    places_[static_cast<std::size_t>(index)] = spool_end_ + static_cast<std::int64_t>(bytes.size());
    const auto size = static_cast<std::uint32_t>(line.size());
    bytes.append(reinterpret_cast<const char*>(&size), sizeof size).append(line);
  }
  held_.clear();
  held_bytes_ = 0;
  for (std::string_view left = bytes; !left.empty();) {
    const auto written = pwrite(spool_.get(), left.data(), left.size(), spool_end_);
    if (written < 0) return SpoolFailed(errno);
    spool_end_ += written;
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<std::string> OrderedLines::Unspool(std::int64_t place) {
  std::uint32_t size = 0;
  if (pread(spool_.get(), &size, sizeof size, place) != ssize_t{sizeof size}) return SpoolFailed(errno);
  std::string line(size, '\0');
  if (pread(spool_.get(), line.data(), size, place + std::int64_t{sizeof size}) != ssize_t{size}) {
    return SpoolFailed(errno);
  }
  return line;
}

Result<void> OrderedLines::Finish() {
  if (auto given = Advance(); !given) return given;
  if (next_ == order_.total) return {};
  return Fail(Code::kInternal, fmt::format("the result of item {} did not come again", next_));
}

}  // namespace hearth::tool
