// A file that is there whole or not at all: it is written beside its place and put there at the end. Not thread-safe,
// but for Abandon.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/base/fd.h"
#include "common/base/result.h"

namespace hearth::tool {

class OutputFile {
 public:
  // `path`: "-" is the standard output. What is there and is no regular file (a pipe, a device) is written into
  // directly. kInvalid: it cannot be made; the message says why.
  static Result<OutputFile> Create(const std::string& path);
  // Whether it could be made now. The same errors.
  static Result<void> Check(const std::string& path);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile() { Abandon(); }

  // kInvalid: the disk is full, or another reason.
  Result<void> Write(std::string_view bytes);
  // All was given: it is on the disk, and not in its place yet. Call once, last but for Commit. The same errors.
  Result<void> Finish();
  // The file takes its place. The same errors.
  Result<void> Commit();
  // Nothing stays. Any thread, also in the middle of a Write: then the process ends.
  void Abandon();
  [[nodiscard]] const std::string& name() const { return path_; }  // for people

 private:
  OutputFile(Fd fd, std::string path, std::string temporary)
      : fd_(std::move(fd)), path_(std::move(path)), temporary_(std::move(temporary)) {}
  Result<void> Flush();
  [[nodiscard]] std::unexpected<Error> Failed(int error) const;

  Fd fd_;
  std::string path_;
  std::string temporary_;  // empty: it is written into directly
  std::string buffer_;
  bool is_done_ = false;
};

}  // namespace hearth::tool
