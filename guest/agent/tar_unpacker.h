// Unpacks a ustar archive that arrives in pieces, straight to a folder: memory stays bounded whatever the archive's
// size. Folders, regular files and symbolic links; nothing is ever created outside the folder, nor through a link.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "guest/agent/sys.h"

namespace hearth::guest {

class TarUnpacker {
 public:
  explicit TarUnpacker(Fd folder) : folder_(std::move(folder)) {}

  // After an error the archive is lost; the folder may hold part of it.
  Result<void> Feed(std::string_view bytes);
  // Whether the archive is whole: its end mark was read.
  Result<void> Finish();

 private:
  enum class State : std::uint8_t { kHeader, kData, kPadding, kEnd };

  Result<void> Header();
  // The folder that holds the entry, for the call alone; `folder` keeps it open where it is not the top.
  Result<int> OpenParent(std::string_view path, std::string& name, Fd& folder);
  Result<void> MakeFolder(std::string_view path);

  Fd folder_;
  Fd file_;
  State state_ = State::kHeader;
  std::array<char, 512> block_{};
  std::size_t block_bytes_ = 0;
  std::uint64_t left_ = 0;   // of the entry's data
  std::size_t padding_ = 0;  // after it
  std::size_t entries_ = 0;
  int zero_blocks_ = 0;
};

}  // namespace hearth::guest
