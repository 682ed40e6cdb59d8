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
#include <system_error>
#include <utility>

namespace hearth::tool {
namespace {

namespace fs = std::filesystem;

// A folder that is gone with its holder.
class Scratch {
 public:
  static Result<Scratch> Make() {
    std::error_code error;
    const fs::path parent = fs::temp_directory_path(error);
    if (error) return Fail(Code::kUnavailable, "a folder for byte code: " + error.message());
    std::string path = (parent / "hearth-byte-code-XXXXXX").string();
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

// Runs kPython to its end, what it prints on our stderr. Its exit code is 1 where a file does not compile.
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
  if (WIFEXITED(status) && WEXITSTATUS(status) <= 1) return {};
  return Fail(Code::kUnavailable, std::string(kPython) + " ended with status " + std::to_string(status));
}

}  // namespace

Result<std::vector<CodeFile>> CompilePython(const std::vector<CodeFile>& files) {
  auto scratch = Scratch::Make();
  if (!scratch) return std::unexpected(scratch.error());
  const fs::path& root = scratch->path();
  std::error_code error;
  for (const auto& file : files) {
    const fs::path path = root / file.name;
    if (path.extension() != ".py") continue;
    fs::create_directories(path.parent_path(), error);
    std::ofstream out(path, std::ios::binary);
    out << file.content;
    if (!out.flush()) return Fail(Code::kUnavailable, "cannot write " + path.string());
  }
  auto done = RunPython({"-I", "-m", "compileall", "-q", "-s", root.string(), "-p", "/code", "--invalidation-mode",
                         "unchecked-hash", root.string()});
  if (!done) return std::unexpected(done.error());
  std::vector<CodeFile> compiled;
  for (const auto& file : files) {
    const fs::path source(file.name);
    if (source.extension() != ".py") continue;
    const fs::path name = source.parent_path() / kByteCodeFolder / (source.stem().string() + "." + kPythonTag + ".pyc");
    std::ifstream in(root / name, std::ios::binary);
    if (!in) continue;  // it does not compile
    std::ostringstream content;
    content << in.rdbuf();
    compiled.push_back({name.string(), std::move(content).str(), false});
  }
  return compiled;
}

}  // namespace hearth::tool
