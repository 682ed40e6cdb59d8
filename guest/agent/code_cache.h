// Code archives of functions, unpacked on a bounded tmpfs under their hash:
//   <root>/<hash>/code/…      what a container sees as /code
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "guest/agent/sha256.h"
#include "guest/agent/tar_unpacker.h"

namespace hearth::guest {

class CodeCache {
 public:
  // `root` is an existing folder that is ours alone.
  explicit CodeCache(std::string root) : root_(std::move(root)) {}

  // Begins a transfer; an unfinished one is thrown away. `bytes` is the size of the whole archive.
  Result<void> Offer(const CodeHash& hash, std::int64_t bytes);
  // The hash of the transfer under way, or empty.
  [[nodiscard]] CodeHash receiving() const { return transfer_ ? transfer_->hash : CodeHash(); }
  // Takes the next piece. True: the archive is whole, its hash is the one offered, and it is stored. After an error
  // the transfer is over and nothing of it is left.
  Result<bool> Feed(std::string_view bytes);
  [[nodiscard]] bool Has(const CodeHash& hash) const { return stored_.contains(hash); }
  [[nodiscard]] std::string LayerPath(const CodeHash& hash) const { return root_ + "/" + hash.str(); }

 private:
  struct Transfer {
    CodeHash hash;
    std::int64_t left = 0;
    Sha256 digest;
    std::unique_ptr<TarUnpacker> unpacker;
  };
  Result<bool> Take(std::string_view bytes);
  void DropTransfer();
  [[nodiscard]] std::string StagingPath() const { return root_ + "/incoming"; }

  std::string root_;
  std::set<CodeHash> stored_;
  std::optional<Transfer> transfer_;
};

// Deletes a folder and all in it; never follows a symbolic link.
void RemoveTree(const std::string& path);

}  // namespace hearth::guest
