#include "executor/code_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "common/base/sha256.h"
#include "schemas/function.h"
#include "schemas/limits.h"
#include "schemas/request.h"

namespace hearth::executor {
namespace {

constexpr std::size_t kHashDigits = 64;

bool IsHash(const std::string& text) {
  return text.size() == kHashDigits &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Result<std::shared_ptr<const std::string>> Read(const std::string& path, const CodeHash& hash) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return Fail(Code::kNotFound, fmt::format("the code store has no {}", path));
  const auto size = file.tellg();
  if (size < 0 || static_cast<std::size_t>(size) > kMaxCodeBytes) {
    return Fail(Code::kInvalid, fmt::format("code {} is larger than {} bytes", hash.value, kMaxCodeBytes));
  }
  auto bytes = std::make_shared<std::string>(static_cast<std::size_t>(size), '\0');
  file.seekg(0);
  file.read(bytes->data(), size);
  if (file.gcount() != size) return Fail(Code::kUnavailable, fmt::format("code {} cannot be read", hash.value));
  if (Sha256Hex(*bytes) != hash.value) return Fail(Code::kInvalid, fmt::format("code {} has another hash", hash.value));
  return bytes;
}

}  // namespace

FolderCodeStore::FolderCodeStore(std::string folder, Post post)
    : folder_(std::move(folder)), post_(std::move(post)), reader_("code-store", 1, kMaxCodeLoadsQueued) {}

void FolderCodeStore::Load(const UserId& user, const CodeHash& hash, Loaded loaded) {
  if (!IsHash(hash.value) || !IsIdentifier(user.value)) {
    return post_([loaded = std::move(loaded)] { loaded(Fail(Code::kInvalid, "not the name of a code archive")); });
  }
  const bool queued = reader_.Post([this, path = folder_ + "/" + CodePath(user, hash), hash, loaded] {
    post_([loaded, result = Read(path, hash)] { loaded(result); });
  });
  if (!queued) post_([loaded = std::move(loaded)] { loaded(Fail(Code::kExhausted, "too many code loads wait")); });
}

}  // namespace hearth::executor
