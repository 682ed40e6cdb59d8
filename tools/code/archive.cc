#include "tools/code/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <vector>

#include "common/base/handle.h"
#include "common/base/sha256.h"
#include "schemas/function.h"
#include "schemas/limits.h"

namespace hearth::tool {
namespace {

namespace fs = std::filesystem;

using Writer = std::unique_ptr<archive, Deleter<archive_write_free>>;
using Entry = std::unique_ptr<archive_entry, Deleter<archive_entry_free>>;

la_ssize_t Append(archive*, void* target, const void* bytes, std::size_t count) {
  static_cast<std::string*>(target)->append(static_cast<const char*>(bytes), count);
  return static_cast<la_ssize_t>(count);
}

Result<std::string> ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  if (!in) return Fail(Code::kNotFound, "cannot read " + path.string());
  return std::move(bytes).str();
}

std::unexpected<Error> TooLarge(const std::string& what) {
  return Fail(Code::kExhausted, what + ": more than " + std::to_string(kMaxCodeBytes) + " bytes of code");
}

}  // namespace

Result<std::vector<CodeFile>> ReadCode(const std::string& path) {
  std::error_code error;
  const fs::path root(path);
  std::vector<fs::path> paths;
  const bool is_folder = fs::is_directory(root, error);
  if (is_folder) {
    for (auto entry = fs::recursive_directory_iterator(root, error); entry != fs::recursive_directory_iterator();
         entry.increment(error)) {
      if (entry->path().filename() == kByteCodeFolder)
        entry.disable_recursion_pending();
      else if (entry->is_regular_file() && !entry->is_symlink())
        paths.push_back(entry->path());
    }
  } else if (fs::is_regular_file(root, error)) {
    paths.push_back(root);
  }
  if (error && !paths.empty()) return Fail(Code::kNotFound, path + ": " + error.message());
  if (paths.empty()) return Fail(Code::kNotFound, path + ": no such file or folder, or nothing in it");
  std::vector<CodeFile> files;
  std::size_t bytes = 0;
  for (const auto& each : paths) {
    auto content = ReadFile(each);
    if (!content) return std::unexpected(content.error());
    bytes += content->size();
    if (bytes > kMaxCodeBytes) return TooLarge(path);
    const bool executable = (fs::status(each).permissions() & fs::perms::owner_exec) != fs::perms::none;
    const fs::path name = is_folder ? fs::relative(each, root) : each.filename();
    files.push_back({name.string(), std::move(*content), executable});
  }
  return files;
}

Result<std::string> PackCode(std::vector<CodeFile> files) {
  if (files.size() > kMaxCodeEntries)
    return Fail(Code::kExhausted, "more than " + std::to_string(kMaxCodeEntries) + " files");
  std::ranges::sort(files, {}, &CodeFile::name);
  std::string bytes;
  const Writer writer(archive_write_new());
  archive_write_set_format_ustar(writer.get());
  archive_write_open(writer.get(), &bytes, nullptr, Append, nullptr);
  for (const auto& file : files) {
    if (bytes.size() + file.content.size() > kMaxCodeBytes) return TooLarge(file.name);
    if (static_cast<std::size_t>(std::ranges::count(file.name, '/')) >= kMaxCodePathParts)
      return Fail(Code::kExhausted, file.name + ": more than " + std::to_string(kMaxCodePathParts) + " folders deep");
    const Entry entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), file.name.c_str());
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), file.executable ? 0755 : 0644);
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(file.content.size()));
    archive_entry_set_mtime(entry.get(), 0, 0);
    if (archive_write_header(writer.get(), entry.get()) != ARCHIVE_OK ||
        archive_write_data(writer.get(), file.content.data(), file.content.size()) < 0) {
      return Fail(Code::kInvalid, file.name + ": " + archive_error_string(writer.get()));
    }
  }
  archive_write_close(writer.get());
  if (bytes.size() > kMaxCodeBytes) return TooLarge("the archive");
  return bytes;
}

Result<CodeHash> StoreCode(const std::string& store, const UserId& user, const std::string& archive) {
  CodeHash hash(Sha256Hex(archive));
  const fs::path path = fs::path(store) / CodePath(user, hash);
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (fs::exists(path, error)) return hash;
  const fs::path draft = path.parent_path() / ("." + hash.value + "." + std::to_string(getpid()));
  {
    std::ofstream out(draft, std::ios::binary);
    out.write(archive.data(), static_cast<std::streamsize>(archive.size()));
    out.flush();
    if (!out) return Fail(Code::kUnavailable, "cannot write into the code store " + store);
  }
  fs::rename(draft, path, error);
  if (error) return Fail(Code::kUnavailable, "code store " + store + ": " + error.message());
  return hash;
}

}  // namespace hearth::tool
