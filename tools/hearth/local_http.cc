#include "tools/hearth/local_http.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <cerrno>
#include <memory>

#include "common/base/address.h"

namespace hearth::tool {
namespace {

constexpr AddressForms kPageAddress{.bare = true};

// What is not taken whole ends the transfer.
std::size_t Append(const char* bytes, std::size_t /*one*/, std::size_t count, void* body) {
  auto& text = *static_cast<std::string*>(body);
  if (text.size() + count > kMaxLocalAnswerBytes) return 0;
  text.append(bytes, count);
  return count;
}

using Handle = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;

Result<LocalAnswer> Perform(CURL* curl, const std::string& address, const std::string& url, std::int64_t timeout_ms) {
  LocalAnswer answer;
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);  // a name may be ".."
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout_ms));
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Append);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
  if (const CURLcode code = curl_easy_perform(curl); code != CURLE_OK) {
    long error = 0;
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &error);
    return Fail(code == CURLE_COULDNT_CONNECT && error == ENOENT ? Code::kNotFound : Code::kUnavailable,
                fmt::format("{}: {}", address, curl_easy_strerror(code)));
  }
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  answer.status = static_cast<int>(status);
  return answer;
}

}  // namespace

Result<LocalAnswer> GetLocally(const std::string& address, const std::string& folder, const std::string& name,
                               std::int64_t timeout_ms) {
  const auto socket = ParseAddress(address);
  if (!socket || !socket->is_unix()) return Fail(Code::kInvalid, "'" + address + "': expected unix:PATH");
  const Handle curl(curl_easy_init(), &curl_easy_cleanup);
  const std::unique_ptr<char, decltype(&curl_free)> escaped(curl_easy_escape(curl.get(), name.c_str(), 0), &curl_free);
  if (!curl || !escaped) return Fail(Code::kUnavailable, "no memory for a request to " + address);
  curl_easy_setopt(curl.get(), CURLOPT_UNIX_SOCKET_PATH, socket->path.c_str());
  return Perform(curl.get(), address, fmt::format("http://localhost{}{}", folder, escaped.get()), timeout_ms);
}

Result<LocalAnswer> GetPage(const std::string& address, const std::string& path, std::int64_t timeout_ms) {
  const auto where = ParseAddress(address, kPageAddress);
  if (!where) return FailWith("'" + address + "'", where.error());
  const Handle curl(curl_easy_init(), &curl_easy_cleanup);
  if (!curl) return Fail(Code::kUnavailable, "no memory for a request to " + address);
  if (where->is_unix()) curl_easy_setopt(curl.get(), CURLOPT_UNIX_SOCKET_PATH, where->path.c_str());
  const std::string host = where->is_unix() ? "localhost" : fmt::format("{}:{}", where->host, where->port);
  return Perform(curl.get(), address, fmt::format("http://{}{}", host, path), timeout_ms);
}

}  // namespace hearth::tool
