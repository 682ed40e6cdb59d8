#include "executor/machines/save_image.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <vector>

#include "common/base/fd.h"

namespace hearth::executor {
namespace {

constexpr std::string_view kMagic = "LibvirtQemudSave";
constexpr std::uint32_t kVersion = 2;
// Offsets of the 32-bit fields after the magic; in the byte order of the host that saved.
constexpr std::size_t kVersionAt = 16, kDataBytesAt = 20, kCookieAt = 32;

std::uint32_t Field(std::string_view image, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, image.data() + at, sizeof value);
  return value;
}

// A random one, version 4.
std::string MakeUuid() {
  std::array<unsigned char, 16> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) std::abort();
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0fU) | 0x40U);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3fU) | 0x80U);
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", bytes[i]);
  }
  return text;
}

std::unexpected<Error> Errno(const std::string& what) {
  return Fail(Code::kUnavailable, fmt::format("{}: {}", what, std::generic_category().message(errno)));
}

}  // namespace

Result<SaveHeader> ReadSaveHeader(std::string_view image) {
  if (image.size() < kSaveHeaderBytes || !image.starts_with(kMagic)) return Fail(Code::kInvalid, "not a save image");
  if (const auto version = Field(image, kVersionAt); version != kVersion) {
    return Fail(Code::kInvalid, fmt::format("a save image of version {}, not {}", version, kVersion));
  }
  SaveHeader header;
  header.data_bytes = Field(image, kDataBytesAt);
  if (header.data_bytes > kMaxSaveDataBytes) return Fail(Code::kInvalid, "a save image with too much of XML");
  if (image.size() < kSaveHeaderBytes + header.data_bytes) return Fail(Code::kInvalid, "a save image cut off");
  const auto data = image.substr(kSaveHeaderBytes, header.data_bytes);
  const auto end = data.find('\0');
  if (end == std::string_view::npos) return Fail(Code::kInvalid, "a save image whose XML does not end");
  header.xml = data.substr(0, end);
  const std::size_t cookie = Field(image, kCookieAt);
  if (cookie == 0) return header;
  if (cookie <= end || cookie >= data.size()) return Fail(Code::kInvalid, "a save image with its cookie elsewhere");
  const auto rest = data.substr(cookie);
  header.cookie = rest.substr(0, rest.find('\0'));
  return header;
}

Result<std::string> ReplaceSaveXml(std::string_view image, std::string_view xml) {
  auto header = ReadSaveHeader(image);
  if (!header) return std::unexpected(header.error());
  std::string data(xml);
  data += '\0';
  std::uint32_t cookie_at = 0;
  if (!header->cookie.empty()) {
    cookie_at = static_cast<std::uint32_t>(data.size());
    data += header->cookie;
    data += '\0';
  }
  if (data.size() > header->data_bytes) return Fail(Code::kExhausted, "the XML does not fit into the save image");
  data.resize(header->data_bytes, '\0');
  std::string replaced(image);
  replaced.replace(kSaveHeaderBytes, header->data_bytes, data);
  std::memcpy(replaced.data() + kCookieAt, &cookie_at, sizeof cookie_at);
  return replaced;
}

Result<void> WriteSaveImage(int source, const DomainSpec& spec, const std::string& path) {
  std::string head(kSaveHeaderBytes, '\0');
  if (pread(source, head.data(), head.size(), 0) != static_cast<ssize_t>(head.size())) {
    return Fail(Code::kInvalid, "not a save image");
  }
  const std::size_t data_bytes = Field(head, kDataBytesAt);
  if (data_bytes > kMaxSaveDataBytes) return Fail(Code::kInvalid, "a save image with too much of XML");
  head.resize(kSaveHeaderBytes + data_bytes);
  if (pread(source, head.data(), head.size(), 0) != static_cast<ssize_t>(head.size())) {
    return Fail(Code::kInvalid, "a save image cut off");
  }
  auto header = ReadSaveHeader(head);
  if (!header) return std::unexpected(header.error());
  auto xml = RenameDomainXml(header->xml, spec, MakeUuid());
  if (!xml) return std::unexpected(xml.error());
  auto replaced = ReplaceSaveXml(head, *xml);
  if (!replaced) return std::unexpected(replaced.error());

  unlink(path.c_str());
  const Fd target(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!target) return Errno("create " + path);
  if (write(target.get(), replaced->data(), replaced->size()) != static_cast<ssize_t>(replaced->size())) {
    return Errno("write " + path);
  }
  auto at = static_cast<off_t>(replaced->size());
  for (;;) {
    const ssize_t n = sendfile(target.get(), source, &at, 64U << 20);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Errno("write " + path);
    if (n == 0) return {};
  }
}

}  // namespace hearth::executor
