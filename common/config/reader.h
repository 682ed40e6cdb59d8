// Configuration files: TOML into checked values. Every key that nobody asked for is an error, and every error names the
// file and the line. A string may take parts of its value from variables of the environment
// (common/config/variables.h); one that does may stand where a number, or true or false, is expected.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/config/reference.h"
#include "common/config/variables.h"

namespace hearth {

// Usage: open, read every known key (each returns its default where absent), then Finish. Errors are collected, so that
// one run names all of them. `about` says what a key is for, in the reference (docs/configuration.md). Not thread-safe.
class ConfigReader {
 public:
  static Result<ConfigReader> FromFile(const std::string& path, Environment environment = ProcessEnvironment);
  static Result<ConfigReader> FromText(std::string_view text, const std::string& name,
                                       Environment environment = ProcessEnvironment);
  // Reads an empty file and notes what is asked for: the reference cannot differ from what is read.
  static ConfigReader ForReference(std::shared_ptr<ConfigReference> reference);
  ConfigReader(ConfigReader&&) noexcept;
  ConfigReader& operator=(ConfigReader&&) noexcept;
  ~ConfigReader();

  // `key` is dotted: "kafka.bootstrap".
  std::string String(std::string_view key, std::string_view fallback, std::string_view about);
  std::string RequiredString(std::string_view key, std::string_view about);  // and not empty
  // One of the words; the fallback may be none of them.
  std::string Word(std::string_view key, std::string_view fallback, std::initializer_list<std::string_view> words,
                   std::string_view about);
  std::int64_t Integer(std::string_view key, std::int64_t fallback, std::int64_t least, std::int64_t most,
                       std::string_view about);
  bool Boolean(std::string_view key, bool fallback, std::string_view about);
  std::vector<std::string> Strings(std::string_view key, std::vector<std::string> fallback, std::string_view about);
  // One reader for each table of an array such as [[profile]]; call Finish on the parent only.
  std::vector<ConfigReader> Tables(std::string_view key, std::string_view about);

  // Reports a value of the file that is well-typed but means nothing.
  void Reject(std::string_view key, std::string_view why);
  // kInvalid with one line for each fault, unknown keys included.
  Result<void> Finish();

 private:
  struct State;
  struct View;
  explicit ConfigReader(std::shared_ptr<State> state, std::shared_ptr<View> view);
  [[nodiscard]] std::string FullKey(std::string_view key) const;
  std::string TextOr(std::string_view key, std::string_view fallback);
  void Note(std::string_view key, std::string type, std::string fallback, std::string range, std::string_view about);
  std::shared_ptr<State> state_;
  std::shared_ptr<View> view_;
};

}  // namespace hearth
