#include "dispatcher/core/page_writer.h"

#include "common/base/time.h"

namespace hearth::dispatcher {

void PageWriter::Cut(std::int64_t told, std::int64_t next, std::int64_t page_offsets) {
  if (!std::exchange(is_on_, true)) {
    for (std::int64_t page = told / page_offsets; page * page_offsets < next; ++page) dirty_.insert(page);
  }
  dirty_.erase(dirty_.begin(), dirty_.lower_bound(told / page_offsets));  // the commit tells of them
}

std::optional<std::int64_t> PageWriter::TakeDue(std::int64_t now_us) {
  if (!position()) return std::nullopt;
  for (const std::int64_t page : dirty_) {
    const auto written = written_us_.find(page);
    const bool rests = written != written_us_.end() && now_us - written->second < kPageIntervalMs * kMicrosPerMilli;
    if (rests || writing_.contains(page)) continue;
    dirty_.erase(page);
    written_us_[page] = now_us;
    writing_[page];
    return page;
  }
  std::erase_if(written_us_, [&](const auto& one) { return now_us - one.second > kPageIntervalMs * kMicrosPerMilli; });
  return std::nullopt;
}

std::vector<Owed> PageWriter::End(std::int64_t page, bool ok) {
  auto writing = writing_.extract(page);
  if (writing.empty()) return {};
  failing_ = !ok;
  if (!ok) dirty_.insert(page);
  return std::move(writing.mapped());
}

std::vector<Owed> PageWriter::Restart() {
  std::vector<Owed> covered;
  for (auto& [page, owed] : writing_) {
    dirty_.insert(page);
    covered.insert(covered.end(), owed.begin(), owed.end());
  }
  writing_.clear();
  told_position_.reset();
  return covered;
}

}  // namespace hearth::dispatcher
