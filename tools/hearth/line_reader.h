// The lines of a file, one after the other, however long the file is; it can be read once more from its start. Not
// thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/fd.h"
#include "common/base/result.h"

namespace hearth::tool {

class LineReader {
 public:
  // `path`: "-" is the standard input. What cannot be read twice (a pipe) is copied to a file without a name in the
  // folder for temporary files, as far as it is read. kNotFound, kUnavailable: it cannot be read, or not be copied.
  static Result<LineReader> Open(const std::string& path);

  // The next line without its end; false after the last one. A line of more than `most` bytes is kExhausted, which
  // names its size, and is not kept in memory. A mark of the byte order at the file's start is left out.
  Result<bool> Next(std::string& line, std::size_t most);
  [[nodiscard]] std::int64_t number() const { return number_; }    // of the last line, from 1 on
  [[nodiscard]] bool had_end() const { return had_end_; }          // the last line ended with a newline
  [[nodiscard]] const std::string& name() const { return name_; }  // for people
  Result<void> Rewind();
  // "NAME:LINE: message", with the code of the error.
  [[nodiscard]] std::unexpected<Error> FailAt(std::int64_t line, Code code, std::string_view message) const;

 private:
  LineReader(Fd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}
  // More bytes; false at the end.
  Result<bool> Fill();

  Fd fd_;
  std::string name_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::int64_t number_ = 0;
  bool had_end_ = false;
};

}  // namespace hearth::tool
