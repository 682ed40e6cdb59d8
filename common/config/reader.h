// Configuration files: TOML into checked values. Every key that nobody asked for is an error, and every error names the
// file and the line.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace hearth {

// Usage: open, read every known key (each returns its default where absent), then Finish. Errors are collected, so that
// one run names all of them. Not thread-safe.
class ConfigReader {
 public:
  static Result<ConfigReader> FromFile(const std::string& path);
  static Result<ConfigReader> FromText(std::string_view text, const std::string& name);
  ConfigReader(ConfigReader&&) noexcept;
  ConfigReader& operator=(ConfigReader&&) noexcept;
  ~ConfigReader();

  // `key` is dotted: "kafka.bootstrap".
  std::string String(std::string_view key, std::string_view fallback);
  std::string RequiredString(std::string_view key);
  std::int64_t Integer(std::string_view key, std::int64_t fallback, std::int64_t least, std::int64_t most);
  bool Boolean(std::string_view key, bool fallback);
  std::vector<std::string> Strings(std::string_view key, std::vector<std::string> fallback);
  // One reader for each table of an array such as [[profile]]; call Finish on the parent only.
  std::vector<ConfigReader> Tables(std::string_view key);

  // Reports a value of the file that is well-typed but means nothing.
  void Reject(std::string_view key, std::string_view why);
  // kInvalid with one line for each fault, unknown keys included.
  Result<void> Finish();

 private:
  struct State;
  struct View;
  explicit ConfigReader(std::shared_ptr<State> state, std::shared_ptr<View> view);
  std::shared_ptr<State> state_;
  std::shared_ptr<View> view_;
};

}  // namespace hearth
