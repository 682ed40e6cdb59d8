#include "dispatcher/pages.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "dispatcher/core/status_page.h"

namespace hearth::dispatcher {
namespace {

std::optional<kafka::KeyedRecord> LookAtPage(std::string_view key, std::size_t value_bytes) {
  const auto page = ParsePageKey(key);
  if (!page) return std::nullopt;
  const bool of_batch = !page->batch.batch.empty();
  if (value_bytes > (of_batch ? kMaxStatusPageBytes : kMaxLedgerPageBytes)) return std::nullopt;
  return kafka::KeyedRecord{kafka::Name(page->partition), of_batch};
}

}  // namespace

std::int32_t PagePartition(const PartitionId& request_partition, std::int32_t partitions) {
  return kafka::PartitionOfKey(kafka::Name(request_partition), partitions);
}

PageStore::PageStore(Loop& loop, kafka::Producer& producer, const PageTopic& topic)
    : loop_(loop),
      producer_(producer),
      topic_(topic.topic),
      reader_(loop, {topic.bootstrap, topic.client_id, topic.topic, topic.most_bytes, topic.silence_ms}, LookAtPage),
      self_(std::make_shared<PageStore*>(this)) {}

void PageStore::Write(const PageKey& key, std::string value, Written done) {
  if (answers_owed_ >= kMostPageWrites) {
    loop_.Post([self = std::weak_ptr(self_), done = std::move(done)] {
      if (!self.expired()) done(Fail(Code::kExhausted, std::to_string(kMostPageWrites) + " pages are being written"));
    });
    return;
  }
  ++answers_owed_;
  const std::string text = PageKeyText(key);
  Writing& writing = writings_[text];
  writing.key = key;
  writing.next = std::move(value);
  writing.told_next.push_back(std::move(done));
  if (writing.under_way) return;
  if (partitions_ == 0) return AskCount();
  Start(text, writing);
}

void PageStore::Start(const std::string& text, Writing& writing) {
  writing.under_way = true;
  writing.told_then = std::exchange(writing.told_next, {});
  OutRecord record{topic_, text, std::exchange(writing.next, {}), {}};
  record.null_value = record.value.empty();
  record.partition = PagePartition(writing.key.partition, partitions_);
  producer_.Send(std::move(record), [self = std::weak_ptr(self_), text](const Result<std::int64_t>& result) {
    if (const auto alive = self.lock())
      (*alive)->Ended(text, result ? Result<void>() : std::unexpected(result.error()));
  });
}

void PageStore::Ended(const std::string& text, const Result<void>& result) {
  const auto found = writings_.find(text);
  Writing& writing = found->second;
  writing.under_way = false;
  const auto told = std::exchange(writing.told_then, {});
  answers_owed_ -= told.size();
  if (!result && result.error().code == Code::kNotFound) partitions_ = 0;  // it may have been made anew
  if (writing.told_next.empty()) {
    writings_.erase(found);
  } else if (partitions_ == 0) {
    AskCount();
  } else {
    Start(text, writing);
  }
  for (const Written& each : told) each(result);
}

void PageStore::AskCount() {
  if (std::exchange(count_asked_, true)) return;
  reader_.Count([this](const Result<std::int32_t>& count) { Counted(count); });
}

void PageStore::Counted(const Result<std::int32_t>& count) {
  count_asked_ = false;
  if (count) {
    partitions_ = *count;
    std::vector<std::string> waiting;  // what the producer refuses at once is gone from the map when Start returns
    for (const auto& [text, writing] : writings_) {
      if (!writing.under_way) waiting.push_back(text);
    }
    for (const std::string& text : waiting) {
      const auto found = writings_.find(text);
      if (found != writings_.end() && !found->second.under_way) Start(text, found->second);
    }
    return;
  }
  std::vector<Written> told;
  for (auto each = writings_.begin(); each != writings_.end();) {
    if (each->second.under_way) {
      ++each;
      continue;
    }
    std::ranges::move(each->second.told_next, std::back_inserter(told));
    each = writings_.erase(each);
  }
  answers_owed_ -= told.size();
  for (const Written& each : told) each(std::unexpected(count.error()));
}

void PageStore::Read(const PartitionId& request_partition, Told done) {
  reader_.Read(kafka::Name(request_partition), [done = std::move(done)](Result<kafka::CompactedValues> found) {
    if (!found) return done(std::unexpected(std::move(found.error())));
    StoredPages stored;
    stored.lacking = found->lacking;
    stored.pages.reserve(found->values.size());
    for (auto& [key, value] : found->values) {
      auto parsed = ParsePageKey(key);
      if (parsed) stored.pages.push_back({std::move(*parsed), std::move(value)});
    }
    std::ranges::sort(stored.pages, {}, &StoredPage::key);
    done(std::move(stored));
  });
}

}  // namespace hearth::dispatcher
