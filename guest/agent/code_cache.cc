#include "guest/agent/code_cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "schemas/limits.h"

namespace hearth::guest {

void RemoveTree(const std::string& path) {
  std::error_code ignored;  // what cannot be deleted lies on a bounded tmpfs of this machine
  std::filesystem::remove_all(path, ignored);
}

Result<std::string> CodeCache::NextFolder() {
  if (!next_.empty()) return next_;
  std::string path = root_ + "/" + std::to_string(++folders_);
  if (mkdir(path.c_str(), 0755) != 0) return FailErrno("mkdir for code");
  next_ = std::move(path);
  return next_;
}

Result<void> CodeCache::Offer(const CodeHash& hash, std::int64_t bytes) {
  DropTransfer();
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (hash.str().size() != 64 || !std::ranges::all_of(hash.str(), is_hex))
    return Fail(Code::kInvalid, "code hash is not SHA-256");
  if (bytes <= 0 || bytes > static_cast<std::int64_t>(kMaxCodeBytes))
    return Fail(Code::kExhausted, "code archive of a size beyond the limit");
  auto path = NextFolder();
  if (!path) return std::unexpected(path.error());
  Fd folder(open(path->c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return FailErrno("open code folder");
  transfer_.emplace(hash, bytes, std::make_unique<TarUnpacker>(std::move(folder)));
  return {};
}

Result<bool> CodeCache::Feed(std::string_view bytes) {
  if (!transfer_) return Fail(Code::kInvalid, "a code chunk without an offer");
  auto taken = Take(bytes);
  if (!taken) DropTransfer();
  return taken;
}

Result<bool> CodeCache::Take(std::string_view bytes) {
  if (static_cast<std::int64_t>(bytes.size()) > transfer_->left)
    return Fail(Code::kInvalid, "more code than was offered");
  transfer_->left -= static_cast<std::int64_t>(bytes.size());
  if (auto fed = transfer_->unpacker->Feed(bytes); !fed) return std::unexpected(fed.error());
  if (transfer_->left > 0) return false;
  if (auto whole = transfer_->unpacker->Finish(); !whole) return std::unexpected(whole.error());
  if (!stored_.try_emplace(transfer_->hash, next_).second) {  // what is stored stays
    DropTransfer();
    return true;
  }
  next_.clear();
  transfer_.reset();
  return true;
}

void CodeCache::Forget(const CodeHash& hash) {
  if (const auto forgotten = stored_.extract(hash)) RemoveTree(forgotten.mapped());
}

void CodeCache::DropTransfer() {
  if (!transfer_) return;
  transfer_.reset();
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(next_, ignored)) RemoveTree(entry.path());
}

}  // namespace hearth::guest
