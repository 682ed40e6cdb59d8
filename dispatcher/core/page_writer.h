// The ledger pages of one partition under our ownership: which have to be written, and what is acknowledged when they
// are. Pages tell what a commit's metadata has no room for (ledger_page.h).
//
// It holds at any time:
// - pages are written only while a durable commit of ours says that there are some, and claim nothing above where that
//   commit says that reading has come;
// - of a page one write is under way at most, and a page is written again after its interval only;
// - an end is acknowledged with a page only when the page that covers it is durable.
// Plain data, one thread. Only Ownership changes it (ownership.h).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "dispatcher/core/invocation.h"

namespace hearth::dispatcher {

constexpr std::int64_t kPageIntervalMs = 500;  // between two writes of one page

class PageWriter {
 public:
  // The commit that was just made has room for what is complete below `told`; offsets from there to `next` are for
  // pages.
  void Cut(std::int64_t told, std::int64_t next, std::int64_t page_offsets);
  // It had room for all.
  void Whole() {
    is_on_ = false;
    failing_ = false;
    dirty_.clear();
  }
  // A commit is durable. It said that there are pages, and that reading has come to `position`.
  void Told(std::int64_t position) { told_position_ = position; }
  void ToldWhole() { told_position_.reset(); }
  // One more is complete there.
  void MarkDirty(std::int64_t offset, std::int64_t page_offsets) {
    if (is_on_) dirty_.insert(offset / page_offsets);
  }
  // Up to here pages may claim; nothing: none is to be written.
  [[nodiscard]] std::optional<std::int64_t> position() const { return is_on_ ? told_position_ : std::nullopt; }

  // The next page whose time has come. Its write is under way then.
  [[nodiscard]] std::optional<std::int64_t> TakeDue(std::int64_t now_us);
  // What the write under way covers.
  void Cover(std::int64_t page, Owed owed) { writing_.at(page).push_back(std::move(owed)); }
  // The write has ended. Returns what it covers.
  [[nodiscard]] std::vector<Owed> End(std::int64_t page, bool ok);
  // Another epoch begins: no write of the old one counts. Returns what they cover.
  [[nodiscard]] std::vector<Owed> Restart();
  [[nodiscard]] bool is_writing(std::int64_t page) const { return writing_.contains(page); }
  [[nodiscard]] bool failing() const { return failing_; }  // the last write was refused

 private:
  bool is_on_ = false;
  bool failing_ = false;
  std::optional<std::int64_t> told_position_;
  std::set<std::int64_t> dirty_;
  std::map<std::int64_t, std::int64_t> written_us_;    // by page, of those written not long ago
  std::map<std::int64_t, std::vector<Owed>> writing_;  // by page
};

}  // namespace hearth::dispatcher
