// hearth-subreaper COMMAND…: runs a command and takes in every process that it leaves behind, so that a daemon such as
// libvirtd hears at once when QEMU ends on hosts whose init reaps late. Passes SIGTERM and SIGINT on; ends with the
// command, and the command ends with it.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace {

volatile sig_atomic_t child = 0;

void PassOn(int signal) {
  const int saved = errno;
  if (child > 0) kill(child, signal);
  errno = saved;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: hearth-subreaper COMMAND [ARGUMENT…]\n", stderr);
    return 2;
  }
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  struct sigaction action{};
  action.sa_handler = PassOn;
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);

  // Held back until the child is known: a signal in between would be lost.
  sigset_t held;
  sigset_t before;
  sigemptyset(&held);
  sigaddset(&held, SIGTERM);
  sigaddset(&held, SIGINT);
  sigprocmask(SIG_BLOCK, &held, &before);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    sigprocmask(SIG_SETMASK, &before, nullptr);
    execvp(argv[1], argv + 1);
    std::fprintf(stderr, "hearth-subreaper: %s: %s\n", argv[1], std::strerror(errno));
    _exit(127);
  }
  if (pid < 0) {
    std::perror("hearth-subreaper: fork");
    return 1;
  }
  child = pid;
  sigprocmask(SIG_SETMASK, &before, nullptr);
  while (true) {
    int status = 0;
    const pid_t ended = waitpid(-1, &status, 0);
    if (ended == pid) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (ended < 0 && errno == ECHILD) return 1;
  }
}
