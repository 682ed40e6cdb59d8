// The pure part: what a request asks for.
#include <algorithm>
#include <cctype>
#include <charconv>

#include "common/http/server.h"

namespace hearth {
namespace {

HttpRequest Refused(int status) {
  return {HttpRequest::State::kRefused, {}, status, false};
}

bool StartsWithName(std::string_view line, std::string_view name) {
  return line.size() > name.size() && line[name.size()] == ':' &&
         std::equal(name.begin(), name.end(), line.begin(),
                    [](char a, char b) { return a == static_cast<char>(std::tolower(static_cast<unsigned char>(b))); });
}

// A body is announced: by its length, unless that is 0, or by its coding.
bool AnnouncesBody(std::string_view line) {
  constexpr std::string_view kLength = "content-length";
  if (StartsWithName(line, "transfer-encoding")) return true;
  if (!StartsWithName(line, kLength)) return false;
  return line.substr(kLength.size() + 1).find_first_not_of(" \t0") != std::string_view::npos;
}

}  // namespace

std::string PercentEncoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char each : text) {
    const auto byte = static_cast<unsigned char>(each);
    if (std::isalnum(byte) != 0 || std::string_view("-._~").contains(each)) {
      encoded += each;
    } else {
      encoded += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return encoded;
}

std::string PercentDecoded(std::string_view text) {
  std::string decoded;
  for (std::size_t at = 0; at < text.size(); ++at) {
    int byte = 0;
    const char* end = text.data() + std::min(at + 3, text.size());
    if (text[at] == '%' && at + 1 < text.size() && text[at + 1] != '-' &&
        std::from_chars(text.data() + at + 1, end, byte, 16).ptr == text.data() + at + 3) {
      decoded += static_cast<char>(byte);
      at += 2;
    } else {
      decoded += text[at];
    }
  }
  return decoded;
}

HttpRequest ReadHttpRequest(std::string_view bytes) {
  const auto end = bytes.find("\r\n\r\n");
  if (std::min(end, bytes.size()) > kMaxHttpRequestBytes) return Refused(431);
  if (end == std::string_view::npos) return {};
  std::string_view head = bytes.substr(0, end);
  const auto take_line = [&head] {
    const auto at = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, at);
    head.remove_prefix(std::min(at + 2, head.size()));
    return line;
  };
  const std::string_view first = take_line();
  while (!head.empty()) {
    if (AnnouncesBody(take_line())) return Refused(413);
  }
  const auto method = first.substr(0, first.find(' '));
  if (method != "GET" && method != "HEAD") return Refused(405);
  std::string_view target = first.substr(std::min(method.size() + 1, first.size()));
  const auto version = target.find(' ');
  if (version == std::string_view::npos || !target.substr(version + 1).starts_with("HTTP/1.") || target[0] != '/') {
    return Refused(400);
  }
  target = target.substr(0, version);
  return {HttpRequest::State::kWhole, std::string(target.substr(0, target.find('?'))), 0, method == "HEAD"};
}

}  // namespace hearth
