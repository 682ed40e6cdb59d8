#include "tools/code/byte_code.h"

#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

namespace hearth::tool {
namespace {

namespace fs = std::filesystem;

// A folder that is gone with its holder.
class Scratch {
 public:
  static Result<Scratch> Make() {
    std::string path = (fs::temp_directory_path() / "hearth-byte-code-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) return Fail(Code::kUnavailable, path + ": " + std::strerror(errno));
    return Scratch(path);
  }
  Scratch(Scratch&& other) noexcept : path_(std::exchange(other.path_, fs::path())) {}
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch() {
    std::error_code error;
    if (!path_.empty()) fs::remove_all(path_, error);
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  explicit Scratch(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

// Runs kPython to its end, what it prints on our stderr. Its exit status does not matter: it is that of the worst file.
Result<void> RunPython(const std::vector<std::string>& arguments) {
  std::vector<char*> words;
  std::string name = kPython;
  words.push_back(name.data());
  for (const auto& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, kPython, &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error == ENOENT) return Fail(Code::kUnavailable, std::string(kPython) + " is not installed");
  if (error != 0) return Fail(Code::kUnavailable, std::string(kPython) + ": " + std::strerror(error));
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  return {};
}

}  // namespace

Result<std::vector<CodeFile>> CompilePython(const std::string& path, const std::vector<CodeFile>& files) {
  std::error_code error;
  const fs::path source = fs::canonical(path, error);
  if (error) return Fail(Code::kNotFound, path + ": " + error.message());
  const fs::path root = fs::is_directory(source, error) ? source : source.parent_path();
  auto scratch = Scratch::Make();
  if (!scratch) return std::unexpected(scratch.error());
  auto done = RunPython({"-I", "-X", "pycache_prefix=" + scratch->path().string(), "-m", "compileall", "-q", "-s",
                         root.string(), "-p", "/code", "--invalidation-mode", "unchecked-hash", source.string()});
  if (!done) return std::unexpected(done.error());
  std::vector<CodeFile> compiled;
  const fs::path written = scratch->path() / root.relative_path();
  for (const auto& file : files) {
    const fs::path name(file.name);
    if (name.extension() != ".py") continue;
    const fs::path byte_code = name.stem().string() + "." + kPythonTag + ".pyc";
    std::ifstream in(written / name.parent_path() / byte_code, std::ios::binary);
    if (!in) continue;  // it does not compile
    std::ostringstream content;
    content << in.rdbuf();
    compiled.push_back({(name.parent_path() / "__pycache__" / byte_code).string(), std::move(content).str(), false});
  }
  return compiled;
}

}  // namespace hearth::tool
