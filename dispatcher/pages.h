// The pages of ledgers on the compacted topic hearth.ledger: written through the dispatcher's producer, and read where
// a partition is taken over. Loop thread only. Nothing is answered any more once the store is gone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/kafka/compacted.h"
#include "common/kafka/producer.h"
#include "common/loop/loop.h"
#include "dispatcher/core/ledger_page.h"
#include "schemas/record.h"

namespace hearth::dispatcher {

// That are not answered yet: 32 MiB of the largest of ledgers, or 208 MiB of the largest of batches.
constexpr std::size_t kMostPageWrites = 4096;
// In memory, of one partition, while its pages are read: a billion offsets in the largest pages of a ledger; 2,500 of
// the largest pages of batches; or the pages of half a million small batches.
constexpr std::size_t kMostPageBytes = 128U << 20;

struct StoredPage {
  PageKey key;
  std::string value;  // as it was written; DecodeLedgerPage reads it
  friend bool operator==(const StoredPage&, const StoredPage&) = default;
};

struct StoredPages {
  std::vector<StoredPage> pages;  // by key
  std::size_t lacking = 0;        // pages of batches that were left out, because all take too many bytes
  friend bool operator==(const StoredPages&, const StoredPages&) = default;
};

struct PageTopic {
  std::string bootstrap;
  std::string client_id;
  std::string topic;
  std::int64_t silence_ms = 5000;  // reading that gets nothing for so long is given up
  std::size_t most_bytes = kMostPageBytes;
};

// The number of the topic's partition that holds the pages of a request partition, where the topic has so many.
std::int32_t PagePartition(const PartitionId& request_partition, std::int32_t partitions);

class PageStore {
 public:
  using Written = std::function<void(Result<void>)>;
  using Told = std::function<void(Result<StoredPages>)>;

  // `producer` must outlive the store, or the loop must not turn between their ends.
  PageStore(Loop& loop, kafka::Producer& producer, const PageTopic& topic);
  PageStore(const PageStore&) = delete;
  PageStore& operator=(const PageStore&) = delete;

  // An empty value is a tombstone. Answered once the value is durable, or one that was written later under the same
  // key: of one key one value is on its way at a time, and the newest of those that wait follows it. An outage of the
  // brokers fails nothing once the topic was met; before that it is kUnavailable. kNotFound: no such topic. kExhausted:
  // more than kMostPageWrites.
  void Write(const PageKey& key, std::string value, Written done);

  // The pages of the partition, of all generations and epochs, and of all batches in it, that are on the topic up to
  // its end, which is asked for after the call: the last value of each key, without those that have a tombstone.
  //
  // Where they take more than `most_bytes`, pages of batches are left out, those that were written longest ago first.
  // Nearly all of these are of batches that have ended, of which the state tells enough. Of a batch that has not, the
  // items of a page that lacks run again. The pages of a ledger are told whole or not at all.
  //
  // Its errors are those of kafka::CompactedReader::Read; kExhausted: the ledger's pages alone take more than
  // `most_bytes`. Reading them again does not help: the partition is then one without pages.
  void Read(const PartitionId& request_partition, Told done);

  // Records that Read met and left out: their keys are none of pages, or their values too long for one. Any thread.
  [[nodiscard]] std::int64_t unreadable() const { return reader_.left_out(); }
  [[nodiscard]] std::size_t writing() const { return answers_owed_; }  // calls of Write that are not answered

 private:
  // What is written under one key.
  struct Writing {
    PageKey key;
    bool under_way = false;
    std::vector<Written> told_then;  // when what is under way has ended
    std::string next;                // waits for that, or for the topic's number of partitions
    std::vector<Written> told_next;  // empty: nothing waits
  };
  void Start(const std::string& text, Writing& writing);
  void Ended(const std::string& text, const Result<void>& result);
  void AskCount();
  void Counted(const Result<std::int32_t>& count);

  Loop& loop_;
  kafka::Producer& producer_;
  const std::string topic_;
  std::map<std::string, Writing> writings_;  // by the text of the key
  std::size_t answers_owed_ = 0;
  std::int32_t partitions_ = 0;  // of the topic; 0: not known
  bool count_asked_ = false;
  kafka::CompactedReader reader_;
  std::shared_ptr<PageStore*> self_;  // what comes later finds it gone once the store is
};

}  // namespace hearth::dispatcher
