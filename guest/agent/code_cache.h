// Code archives of functions, each unpacked once into a folder of its own on a bounded tmpfs: what containers see as
// /code.
// That the bytes have the hash is the executor's to see to, when it takes them from the code store: hashing them again
// in here would cost an emulated machine more than all the rest of a start. Here they must be whole and well-formed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "guest/agent/tar_unpacker.h"

namespace hearth::guest {

class CodeCache {
 public:
  // `root` is an existing folder that is ours alone.
  explicit CodeCache(std::string root) : root_(std::move(root)) {}

  // The folder into which the next transfer goes. It is there, and it stays: containers that are made ahead have it at
  // /code already.
  Result<std::string> NextFolder();
  // Begins a transfer; an unfinished one is thrown away. `bytes` is the size of the whole archive.
  Result<void> Offer(const CodeHash& hash, std::int64_t bytes);
  // The hash of the transfer under way, or empty.
  [[nodiscard]] CodeHash receiving() const { return transfer_ ? transfer_->hash : CodeHash(); }
  // Takes the next piece. True: the archive is whole and stored, for good. After an error the transfer is over and
  // nothing of it is left.
  Result<bool> Feed(std::string_view bytes);
  // No container may have it.
  void Forget(const CodeHash& hash);
  // The folder of stored code; null: there is none of that hash.
  [[nodiscard]] const std::string* Find(const CodeHash& hash) const {
    const auto found = stored_.find(hash);
    return found == stored_.end() ? nullptr : &found->second;
  }

 private:
  struct Transfer {
    CodeHash hash;
    std::int64_t left = 0;
    std::unique_ptr<TarUnpacker> unpacker;
  };
  Result<bool> Take(std::string_view bytes);
  void DropTransfer();

  std::string root_;
  std::uint64_t folders_ = 0;  // made so far; names of them
  std::string next_;           // empty: not made yet
  std::map<CodeHash, std::string> stored_;
  std::optional<Transfer> transfer_;
};

// Deletes a folder and all in it; never follows a symbolic link.
void RemoveTree(const std::string& path);

}  // namespace hearth::guest
