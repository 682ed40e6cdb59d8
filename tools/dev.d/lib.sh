# shellcheck shell=bash disable=SC2034
# What every chore of tools/dev shares: words, waiting, processes known by pid and start time, ports, the state folder.

STATE=$(realpath -m -- "${HEARTH_STATE:-$ROOT/.hearth}")
is_root() { [ "$(id -u)" -eq 0 ]; }

# Downloads and the guest's image. As root in a folder that the accounts of machines can read.
default_cache() { if is_root; then printf /var/cache/hearth; else printf '%s/hearth' "${XDG_CACHE_HOME:-$HOME/.cache}"; fi; }
CACHE=$(realpath -m -- "${HEARTH_CACHE:-$(default_cache)}")
STACK_ENV=$STATE/stack.env
LOGS=$STATE/logs
PIDS=$STATE/pids
PYTHON=/usr/bin/python3

say() { printf '%s\n' "$*" >&2; }
step() { printf '== %s\n' "$*" >&2; }
fail() { printf 'tools/dev: %s\n' "$*" >&2; exit 1; }
usage_error() { printf 'tools/dev: %s\nTry: tools/dev help\n' "$*" >&2; exit 2; }

# need_space FOLDER MIB WHAT HOW: the folder's disk has room, or fail; HOW precedes "a larger disk".
need_space() {
  local free
  free=$(($(df -Pk -- "$1" | awk 'NR == 2 { print $4 }') / 1024))
  [ "$free" -ge "$2" ] || fail "no disk: $1 has $free MiB free, and $3 may need $2 MiB. Free some, or $4 a larger disk."
}

# explain LOG: one line for a known cause of a failure that others have written into the log.
explain() {
  local log=$1
  if grep -qiE 'no space left|enough free space' "$log"; then
    say "   => the disk is full: df -h says which; free some and run it again"
  elif grep -qiE 'could not resolve|temporary failure|unable to connect|could not connect|network is unreachable|unknown host|cannot download' "$log"; then
    say "   => a server of packages cannot be reached: is this host offline, or behind a proxy that apt and Maven do not know?"
  elif grep -qiE 'could not get lock|is another process using it' "$log"; then
    say "   => another apt or dpkg is at work: wait until it has ended and run it again"
  elif grep -qiE 'internal compiler error|killed signal|virtual memory exhausted' "$log"; then
    say "   => there was not enough memory to compile: HEARTH_JOBS=1 compiles one file at a time"
  fi
}

# Run folder for sockets: short, because a Unix socket's path has at most 107 bytes; one for each state folder.
run_dir() {
  local base=${XDG_RUNTIME_DIR:-/tmp}
  is_root && base=/run
  printf '%s/hearth-%s' "$base" "$(printf '%s' "$STATE" | sha256sum | cut -c1-8)"
}
RUN=$(run_dir)

# wait_for SECONDS WHAT COMMAND…: until the command succeeds; says what it waits for every 5 s.
wait_for() {
  local limit=$1 what=$2 begin=$SECONDS told=$SECONDS
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ $((SECONDS - begin)) -ge "$limit" ]; then return 1; fi
    if [ $((SECONDS - told)) -ge 5 ]; then say "   waiting for $what ($((SECONDS - begin)) s)"; told=$SECONDS; fi
    sleep 0.1
  done
}

# field_of PID N: the Nth word of /proc/PID/stat behind the name (1 is the state, 20 the start time); empty when it is gone.
field_of() { awk -v n="$2" '{ sub(/^.*\) /, ""); print $n }' "/proc/$1/stat" 2>/dev/null || true; }

# A process is known by its pid together with its start time, so that a stranger is never taken for it.
record_pid() { mkdir -p "$PIDS"; printf '%s %s\n' "$2" "$(field_of "$2" 20)" > "$PIDS/$1"; }
pid_of() {
  local pid started
  [ -f "$PIDS/$1" ] || return 1
  read -r pid started < "$PIDS/$1"
  [ -n "$started" ] && [ "$(field_of "$pid" 20)" = "$started" ] || return 1
  [ "$(field_of "$pid" 1)" != Z ] || return 1
  printf '%s' "$pid"
}
running() { pid_of "$1" >/dev/null; }
gone() { ! running "$1"; }

# ended_whole NAME: it runs, or nothing of it does. The threads of a killed process may hold its port and locks for a
# moment after it has ended itself.
ended_whole() {
  local pid started
  if running "$1" || [ ! -f "$PIDS/$1" ]; then return 0; fi
  read -r pid started < "$PIDS/$1"
  [ "$(field_of "$pid" 20)" != "$started" ] || [ "$(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)" -le 1 ]
}

# launch NAME COMMAND…: in a session of its own, output to its log, holding no folder of the caller.
launch() {
  local name=$1
  shift
  mkdir -p "$LOGS"
  (
    [ -z "${DEMO_LOCK:-}" ] || exec {DEMO_LOCK}>&-   # it is the demo's, not its stack's
    cd / && exec setsid "$@" < /dev/null >> "$LOGS/$name.log" 2>&1
  ) &
  record_pid "$name" $!
  disown
}

# stop NAME SECONDS: SIGTERM, then SIGKILL after the time.
stop() {
  local name=$1 limit=$2 pid
  if pid=$(pid_of "$name"); then
    say "   stopping $name"
    kill -TERM "$pid" 2>/dev/null || true
    if ! wait_for "$limit" "$name to stop" gone "$name"; then
      say "   $name did not stop in $limit s: killed"
      kill -KILL "$pid" 2>/dev/null || true
      wait_for 5 "$name to go" gone "$name" || true
    fi
  fi
  rm -f "$PIDS/$name"
}

# free_ports COUNT: below the range from which the system takes the ports of outgoing connections.
free_ports() {
  "$PYTHON" - "$1" <<'PY'
import random, socket, sys
wanted, found = int(sys.argv[1]), []
for port in random.sample(range(20000, 32000), 2000):
    if len(found) == wanted:
        break
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
            found.append(port)
        except OSError:
            pass
print(*found)
PY
}
port_free() {
  "$PYTHON" - "$1" <<'PY' 2>/dev/null
import socket, sys
with socket.socket() as probe:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", int(sys.argv[1])))
    probe.listen(1)
PY
}

# http_ok HOST:PORT PATH: the answer is 200. Through bash alone: no proxy of the environment comes between.
http_ok() {
  # shellcheck disable=SC2016
  timeout 3 bash -c '
    exec 3<> "/dev/tcp/${1%:*}/${1##*:}"
    printf "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n" "$2" "$1" >&3
    read -r _ code _ <&3
    [ "$code" = 200 ]' http_ok "$1" "$2" 2>/dev/null
}
