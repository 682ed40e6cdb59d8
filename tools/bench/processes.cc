#include "tools/bench/processes.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include "common/base/fd.h"

namespace hearth::bench {
namespace {

constexpr int kHttpTimeoutS = 5;

sigset_t EndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

// 128 + signal where a signal ended it.
int ExitCodeOf(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::optional<std::int64_t> FieldOf(const std::string& text, std::string_view name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(name)) continue;
    return std::strtoll(line.c_str() + name.size(), nullptr, 10);
  }
  return std::nullopt;
}

}  // namespace

void HoldSignals() {
  const sigset_t signals = EndSignals();
  sigprocmask(SIG_BLOCK, &signals, nullptr);
}

bool ToldToEnd() {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1;
}

Result<Child> Child::Spawn(const std::vector<std::string>& command, const std::string& log) {
  std::vector<char*> raw;
  for (const auto& word : command) raw.push_back(const_cast<char*>(word.c_str()));
  raw.push_back(nullptr);
  const pid_t pid = fork();
  if (pid < 0) return Fail(Code::kUnavailable, std::string("fork: ") + std::strerror(errno));
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    const sigset_t signals = EndSignals();
    sigprocmask(SIG_UNBLOCK, &signals, nullptr);
    setpgid(0, 0);  // a Ctrl-C is the bench's alone: it ends its children in order
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    const int null = open("/dev/null", O_RDONLY);
    if (out < 0 || null < 0) _exit(126);
    dup2(null, 0);
    dup2(out, 1);
    dup2(out, 2);
    execvp(raw[0], raw.data());
    _exit(127);
  }
  return Child(pid, log);
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), ended_(other.ended_), log_(std::move(other.log_)) {}

Child& Child::operator=(Child&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(ended_, other.ended_);
  std::swap(log_, other.log_);
  return *this;
}

std::optional<int> Child::Ended() {
  int status = 0;
  if (pid_ > 0 && !ended_ && waitpid(pid_, &status, WNOHANG) == pid_) ended_ = ExitCodeOf(status);
  return ended_;
}

std::optional<int> Child::EndedWithin(std::chrono::milliseconds limit) {
  if (pid_ <= 0 || ended_) return ended_;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  const int end = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  pollfd wait{end, POLLIN, 0};
  for (auto left = limit; left.count() > 0 && poll(&wait, 1, static_cast<int>(left.count())) < 0 && errno == EINTR;)
    left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  close(end);
  return Ended();
}

void Child::Kill() {
  if (pid_ <= 0 || Ended()) return;
  kill(pid_, SIGKILL);
  int status = 0;
  if (waitpid(pid_, &status, 0) == pid_) ended_ = ExitCodeOf(status);
}

Child::~Child() {
  if (pid_ <= 0 || Ended()) return;
  kill(pid_, SIGTERM);
  if (!EndedWithin(kStopWithin)) Kill();
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Result<std::string> HttpGet(int port, const std::string& path) {
  const Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!client) return Fail(Code::kUnavailable, std::string("socket: ") + std::strerror(errno));
  const timeval limit{kHttpTimeoutS, 0};
  setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  const std::string request = "GET " + path + " HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  if (connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
      send(client.get(), request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
    std::array<char, 16384> block{};
    ssize_t n = 0;
    while ((n = recv(client.get(), block.data(), block.size(), 0)) > 0)
      answer.append(block.data(), static_cast<std::size_t>(n));
  }
  const auto head = answer.find("\r\n\r\n");
  if (head == std::string::npos) return Fail(Code::kUnavailable, "nobody answers at port " + std::to_string(port));
  std::string body = answer.substr(head + 4);
  if (answer.find(" 200 ") > answer.find('\r')) return Fail(Code::kUnavailable, body);
  return body;
}

Result<int> FreePort() {
  const Fd probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool bound = probe && bind(probe.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                     getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (!bound) return Fail(Code::kUnavailable, std::string("no free port: ") + std::strerror(errno));
  return ntohs(address.sin_port);
}

std::optional<double> FindMetric(std::string_view page, std::string_view family,
                                 const std::map<std::string, std::string>& labels) {
  while (!page.empty()) {
    const auto end = std::min(page.find('\n'), page.size());
    const std::string_view line = page.substr(0, end);
    page.remove_prefix(std::min(end + 1, page.size()));
    if (!line.starts_with(family)) continue;
    const std::string_view rest = line.substr(family.size());
    if (rest.empty() || (rest.front() != '{' && rest.front() != ' ')) continue;
    bool fits = true;
    for (const auto& [name, value] : labels) {
      const std::string pair = name + "=\"" + value + "\"";
      fits =
          fits && (rest.find("{" + pair) != std::string_view::npos || rest.find("," + pair) != std::string_view::npos);
    }
    if (fits) return std::strtod(std::string(rest.substr(rest.rfind(' ') + 1)).c_str(), nullptr);
  }
  return std::nullopt;
}

Result<Usage> ReadUsage(pid_t pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  const std::string stat = ReadFile(folder + "/stat");
  const auto name_end = stat.rfind(')');
  if (name_end == std::string::npos) return Fail(Code::kNotFound, "no process " + std::to_string(pid));
  std::istringstream words(stat.substr(name_end + 1));
  const std::vector<std::string> fields{std::istream_iterator<std::string>(words), {}};
  // Counted from the state, which is field 3 of proc(5): minflt 10, majflt 12, utime 14, stime 15.
  constexpr std::size_t kFirst = 3;
  const auto field = [&fields](std::size_t number) {
    return number - kFirst < fields.size() ? std::strtoll(fields[number - kFirst].c_str(), nullptr, 10) : 0;
  };
  Usage usage;
  usage.minor_faults = field(10);
  usage.major_faults = field(12);
  usage.cpu_s = static_cast<double>(field(14) + field(15)) / static_cast<double>(sysconf(_SC_CLK_TCK));
  const std::string maps = ReadFile(folder + "/smaps_rollup");
  usage.rss_kib = FieldOf(maps, "Rss:").value_or(0);
  usage.pss_kib = FieldOf(maps, "Pss:").value_or(0);
  usage.peak_rss_kib = FieldOf(ReadFile(folder + "/status"), "VmHWM:").value_or(0);
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator(folder + "/task", error)) {
    const std::string status = ReadFile(task.path().string() + "/status");
    usage.waits += FieldOf(status, "voluntary_ctxt_switches:").value_or(0);
    usage.preemptions += FieldOf(status, "nonvoluntary_ctxt_switches:").value_or(0);
  }
  return usage;
}

std::vector<pid_t> FindProcesses(std::string_view text) {
  std::vector<pid_t> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    pid_t pid = 0;
    const auto [end, fault] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (fault != std::errc{} || end != name.data() + name.size() || pid == getpid()) continue;
    if (ReadFile(entry.path().string() + "/cmdline").find(text) != std::string::npos) found.push_back(pid);
  }
  return found;
}

}  // namespace hearth::bench
