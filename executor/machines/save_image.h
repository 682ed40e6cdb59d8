// libvirt's save image: a header, the domain's XML, a cookie, padding, then QEMU's stream. libvirt restores it only
// under the name and id it was saved with, so both are rewritten; lengths stay as they are, so that the stream stays
// where it is.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"
#include "executor/machines/domain_xml.h"

namespace hearth::executor {

struct SaveHeader {
  std::string xml;
  std::string cookie;          // libvirt's notes, kept as they are; may be empty
  std::size_t data_bytes = 0;  // of XML, cookie and padding
};

constexpr std::size_t kSaveHeaderBytes = 92;
constexpr std::size_t kMaxSaveDataBytes = 4U << 20;

// Of the image's first bytes (kSaveHeaderBytes + data_bytes, or more). kInvalid: no save image, one of another version,
// or cut off.
Result<SaveHeader> ReadSaveHeader(std::string_view image);

// `image` with the XML replaced, of the same length. kExhausted: it does not fit.
Result<std::string> ReplaceSaveXml(std::string_view image, std::string_view xml);

// Writes the image in `source` as that of the machine `spec`, mode 0600. Blocks.
Result<void> WriteSaveImage(int source, const DomainSpec& spec, const std::string& path);

}  // namespace hearth::executor
