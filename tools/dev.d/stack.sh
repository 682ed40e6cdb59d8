# shellcheck shell=bash
# shellcheck disable=SC2153
# The running stack: up, down, status, logs, env. Everything lies in the state folder, sockets in the run folder.

BIN=${HEARTH_BIN:-$ROOT/build/release/bin}
IMAGE=${HEARTH_IMAGE:-$CACHE/image}

load_stack() {
  # shellcheck disable=SC1090
  [ ! -f "$STACK_ENV" ] || . "$STACK_ENV"
}

MAX_EXECUTORS=8

# Ports are chosen at the first `up` and kept while anything runs; those of the environment are taken as they are.
choose_ports() {
  local ports
  read -r -a ports <<< "$(free_ports $((3 + MAX_EXECUTORS)))"
  cat > "$STACK_ENV" <<ENV
KAFKA_PORT=${HEARTH_KAFKA_PORT:-${ports[0]}}
KAFKA_CONTROLLER_PORT=${HEARTH_KAFKA_CONTROLLER_PORT:-${ports[1]}}
DISPATCHER_PORT=${HEARTH_DISPATCHER_PORT:-${ports[2]}}
EXECUTOR_PORTS=(${HEARTH_EXECUTOR_PORT:-${ports[3]}} ${ports[*]:4})
EXECUTORS=1
SIMULATED=0
ENV
}

need_port() {  # need_port PROCESS WHAT PORT VARIABLE
  running "$1" || port_free "$3" || fail "port $3 for $2 is in use; free it, or choose another with $4"
}
check_ports() {  # before anything starts, so that a port in use leaves nothing half started
  if wants kafka; then
    need_port kafka Kafka "$KAFKA_PORT" HEARTH_KAFKA_PORT
    need_port kafka "Kafka's controller" "$KAFKA_CONTROLLER_PORT" HEARTH_KAFKA_CONTROLLER_PORT
  fi
  if wants daemons; then
    local n
    need_port dispatcher "the dispatcher's HTTP" "$DISPATCHER_PORT" HEARTH_DISPATCHER_PORT
    for ((n = 1; n <= EXECUTORS; ++n)); do
      need_port "executor-$n" "the HTTP of executor $n" "${EXECUTOR_PORTS[$((n - 1))]}" HEARTH_EXECUTOR_PORT
    done
  fi
}

libvirt_uri() {
  local mode=session
  if is_root; then mode=system; fi
  printf 'qemu+unix:///%s?socket=%s/libvirt/libvirt-sock' $mode "$RUN"
}

up_kafka() {
  running kafka && return
  local libs properties=$STATE/etc/kafka.properties
  libs=$(kafka_libs)
  [ -f "$libs/.complete" ] || fail "Kafka is not here yet: run tools/dev setup"
  check_jars "$libs"
  mkdir -p "$STATE/etc" "$STATE/kafka"
  sed -e "s|@HOST@|127.0.0.1|g" -e "s|@PORT@|$KAFKA_PORT|g" -e "s|@CONTROLLER_PORT@|$KAFKA_CONTROLLER_PORT|g" \
    -e "s|@DATA@|$STATE/kafka|g" "$ROOT/compose/kafka/server.properties" > "$properties"
  cat > "$STATE/etc/log4j2.properties" <<'LOG'
rootLogger.level = WARN
rootLogger.appenderRef.stdout.ref = STDOUT
appender.stdout.type = Console
appender.stdout.name = STDOUT
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = %d %p %c: %m%n
LOG
  # -UsePerfData: else the JVM leaves a folder in /tmp.
  local options=(-XX:-UsePerfData -Dlog4j2.configurationFile="$STATE/etc/log4j2.properties" -cp "$libs/*")
  if [ ! -f "$STATE/kafka/meta.properties" ]; then
    java -Xmx128m "${options[@]}" kafka.tools.StorageTool format -t "$(random_uuid)" \
      -c "$properties" > "$LOGS/kafka-format.log" 2>&1 || fail "formatting Kafka's storage failed: $LOGS/kafka-format.log"
  fi
  # No C2: its compiler takes a processor for a quarter of a second at a time in the first minutes, which is all that a
  # broker of ours lives, and on two processors everybody waits that long. A large young generation for the same reason.
  launch kafka java -Xms512m -Xmx512m -Xmn256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "${options[@]}" kafka.Kafka "$properties"
}
random_uuid() {  # as Kafka writes it: 16 bytes in URL-safe base64
  "$PYTHON" -c 'import base64, uuid; print(base64.urlsafe_b64encode(b"\1" + uuid.uuid4().bytes[1:]).decode().rstrip("="))'
}
kafka_ready() { kcat -L -b "127.0.0.1:$KAFKA_PORT" -m 2; }

up_redis() {
  running redis && return
  mkdir -p "$STATE/redis"
  redis_accounts
  launch redis redis-server --port 0 --unixsocket "$RUN/redis.sock" --unixsocketperm 700 --save '' --appendonly no \
    --dir "$STATE/redis" --daemonize no --logfile '' --aclfile "$STATE/redis/users.acl"
}
# The daemons have an account that may do what they do and nothing else; its password stays while the stack does.
redis_accounts() (
  umask 077
  cd "$STATE/redis" || return 1
  [ -s password ] || head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' > password
  sed "s/@PASSWORD@/$(cat password)/" "$ROOT/compose/redis/users.acl" > users.acl
)
redis_toml() {
  printf '[redis]\naddress = "unix:%s/redis.sock"\nuser = "hearth"\npassword_file = "%s/redis/password"\n' "$RUN" "$STATE"
}
# Dispatchers and executors prove to each other that they know it.
link_secret() (
  umask 077
  cd "$STATE/etc" || return 1
  [ -s link-secret ] || head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > link-secret
)
link_toml() {  # link_toml [LINE…]
  printf '[link]\nsecret_file = "%s/etc/link-secret"\n' "$STATE"
  [ $# -eq 0 ] || printf '%s\n' "$@"
}
redis_ready() { [ "$(redis-cli -s "$RUN/redis.sock" ping)" = PONG ]; }

up_libvirtd() {
  running libvirtd && return
  [ -x "$BIN/hearth-subreaper" ] || fail "hearth-subreaper is not built: run tools/dev build"
  if is_root; then up_system_libvirtd; else up_session_libvirtd; fi
}

# An ordinary user's daemon, apart from the one that may serve the same user's session: it ends with the stack. Its
# sockets lie in the run folder, because their paths are long.
up_session_libvirtd() {
  mkdir -p "$RUN/config/libvirt" "$STATE/libvirt/cache" "$STATE/libvirt/data"
  printf 'log_outputs = "2:stderr"\nunix_sock_ro_perms = "0700"\n' > "$RUN/config/libvirt/libvirtd.conf"
  printf 'stdio_handler = "file"\n' > "$RUN/config/libvirt/qemu.conf"
  # Where the host lets the user make namespaces: without a network, as root's.
  local apart=(unshare --user --map-current-user --net --)
  "${apart[@]}" true 2> /dev/null || { say "   libvirtd keeps the host's network: this user may not make namespaces"; apart=(); }
  launch libvirtd env XDG_RUNTIME_DIR="$RUN" XDG_CONFIG_HOME="$RUN/config" XDG_CACHE_HOME="$STATE/libvirt/cache" \
    XDG_DATA_HOME="$STATE/libvirt/data" "${apart[@]}" "$BIN/hearth-subreaper" /usr/sbin/libvirtd
}

libvirtd_is_apart() { [ "$(readlink "/proc/$(pid_of libvirtd)/ns/user")" != "$(readlink /proc/self/ns/user)" ]; }

up_system_libvirtd() {
  local part
  for part in etc lib log; do mkdir -p "$STATE/libvirt/$part"; done
  mkdir -p "$RUN/libvirt" "$CACHE/libvirt"
  chmod 755 "$CACHE/libvirt"
  cat > "$STATE/libvirt/etc/libvirtd.conf" <<CONF
unix_sock_group = "root"
unix_sock_ro_perms = "0700"
unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "2:stderr"
max_clients = 500
max_workers = 40
max_client_requests = 64
CONF
  cat > "$STATE/libvirt/etc/qemu.conf" <<CONF
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
stdio_handler = "file"
namespaces = []
CONF
  # A mount namespace of its own gives the daemon private folders; without the second cgroup hierarchy, libvirt takes a
  # hybrid host for what it is; under a subreaper it hears at once when QEMU ends. In a network namespace without
  # interfaces neither it nor a QEMU that somebody broke out into reaches a network, not even the host's loopback, nor
  # an abstract Unix socket; libvirt's own sockets are files.
  # shellcheck disable=SC2016
  launch libvirtd unshare -m -n --propagation private bash -c '
    set -e
    mkdir -p /etc/libvirt /var/lib/libvirt /var/log/libvirt /run/libvirt /var/cache/libvirt
    mount --bind "$1/etc" /etc/libvirt
    mount --bind "$1/lib" /var/lib/libvirt
    mount --bind "$1/log" /var/log/libvirt
    mount --bind "$2" /run/libvirt
    mount --bind "$3" /var/cache/libvirt
    if mountpoint -q /sys/fs/cgroup/unified && mountpoint -q /sys/fs/cgroup/memory; then umount /sys/fs/cgroup/unified; fi
    exec "$4" /usr/sbin/libvirtd -f /etc/libvirt/libvirtd.conf -p /run/libvirt/libvirtd.pid' \
    libvirtd "$STATE/libvirt" "$RUN/libvirt" "$CACHE/libvirt" "$BIN/hearth-subreaper"
}
libvirtd_ready() { virsh -q -c "$(libvirt_uri)" version; }

common_toml() {
  cat <<TOML
log_level = "${HEARTH_LOG_LEVEL:-info}"
[kafka]
bootstrap = "127.0.0.1:$KAFKA_PORT"
TOML
}

up_dispatcher() {
  running dispatcher && return
  link_secret
  local sockets="" n
  for ((n = 1; n <= EXECUTORS; ++n)); do sockets+="\"unix:$RUN/executor-$n.sock\", "; done
  {
    printf 'id = "dispatcher-1"\nhttp = "127.0.0.1:%s"\ndecisions = "unix:%s/decisions.sock"\n' "$DISPATCHER_PORT" "$RUN"
    common_toml
    redis_toml
    link_toml "executors = [${sockets%, }]"
    printf '[admission]\nreply_topics = ["hearth.reply", "reply.*"]\nrealtime_users = ["*"]\n'
  } > "$STATE/etc/dispatcher.toml"
  launch dispatcher "$BIN/hearth-dispatcher" --config "$STATE/etc/dispatcher.toml"
}

simulated() { [ "${SIMULATED:-0}" -eq 1 ]; }

machines_toml() {
  printf '[machines]\nlibvirt = "%s"\nimage = "%s"\naccel = "%s"\nstart = "%s"\nmemory_mib = %s\n' "$(libvirt_uri)" "$IMAGE" \
    "${HEARTH_ACCEL:-auto}" "${HEARTH_START:-auto}" "${HEARTH_MEMORY_MIB:-8192}"
}
# Stand-ins take no memory: the bound is there to be none.
simulated_toml() {
  printf '[machines]\ndriver = "simulated"\nmemory_mib = %s\n[simulated]\n%s\n' "${HEARTH_MEMORY_MIB:-1048576}" "${HEARTH_SIMULATED:-seed = 1}"
}

up_executor() {
  local n=$1 port=${EXECUTOR_PORTS[$(($1 - 1))]}
  running "executor-$n" && return
  link_secret
  mkdir -p "$STATE/executor-$n" "$STATE/code" "$RUN/e$n"
  chmod 711 "$RUN/e$n"
  {
    printf 'id = "executor-%s"\nhttp = "127.0.0.1:%s"\n' "$n" "$port"
    printf 'listen = "unix:%s/executor-%s.sock"\nrun_dir = "%s/e%s"\n' "$RUN" "$n" "$RUN" "$n"
    printf 'state_dir = "%s/executor-%s"\ncode_store = "%s/code"\n' "$STATE" "$n" "$STATE"
    common_toml
    redis_toml
    link_toml
    if simulated; then simulated_toml; else machines_toml; fi
    printf '[[profile]]\nname = "default"\nmemory_mib = 512\nreserve_mib = 160\nvcpus = 1\npool_min = %s\npool_max = 4\nshells = %s\n' \
      "${HEARTH_POOL_MIN:-1}" "${HEARTH_SHELLS:-1}"
  } > "$STATE/etc/executor-$n.toml"
  local beside=()
  if ! simulated && ! is_root && libvirtd_is_apart; then
    # In the user namespace of the machines, not in their network: from without it QEMU could not open the templates
    # that the executor's processes hold.
    beside=(nsenter --user --preserve-credentials --target "$(pid_of libvirtd)" --)
  fi
  launch "executor-$n" "${beside[@]}" "$BIN/hearth-executor" --config "$STATE/etc/executor-$n.toml"
}

await() {  # await NAME SECONDS PROBE…: ready, or fail with the end of its log
  local name=$1 limit=$2 why="did not become ready in $2 s"
  shift 2
  if ! wait_for "$limit" "$name" ended_or "$name" "$@" || ended "$name"; then
    if ended "$name"; then why="ended while starting"; fi
    if [ -f "$LOGS/$name.log" ]; then tail -n 15 "$LOGS/$name.log" >&2; fi
    fail "$name $why; its log: $LOGS/$name.log. What runs is stopped by tools/dev down."
  fi
  say "   $name is ready"
}
ended() { [ -f "$PIDS/$1" ] && gone "$1"; }
ended_or() {
  local name=$1
  shift
  ended "$name" || "$@"
}

# What belongs to the stack, in the order of starting.
members() {
  local n
  printf '%s\n' kafka redis
  if ! simulated; then printf '%s\n' libvirtd; fi
  for ((n = 1; n <= ${EXECUTORS:-1}; ++n)); do printf 'executor-%s\n' "$n"; done
  printf '%s\n' dispatcher
}
all_run() {
  local name
  for name in $(members); do running "$name" || return 1; done
}
any_runs() {
  local file
  for file in "$PIDS"/*; do
    if [ -f "$file" ] && running "${file##*/}"; then return 0; fi
  done
  return 1
}

wants() { { [ "$1" != libvirtd ] || ! simulated; } && { [ -z "$ONLY" ] || [[ ,$ONLY, == *,$1,* ]]; }; }

cmd_up() {
  local executors="" simulate=0 n word status
  ONLY=""
  while [ $# -gt 0 ]; do
    case $1 in
      --only) ONLY=${2:-}; [ -n "$ONLY" ] || usage_error "up: --only what?"; shift 2 ;;
      --executors) executors=${2:-}; shift 2 || usage_error "up: --executors how many?" ;;
      --simulated) simulate=1; shift ;;
      *) usage_error "up: unknown option $1" ;;
    esac
    [[ ${executors:-1} =~ ^[1-$MAX_EXECUTORS]$ ]] || usage_error "up: --executors takes 1 to $MAX_EXECUTORS"
  done
  for word in ${ONLY//,/ }; do
    [[ $word =~ ^(kafka|redis|libvirtd|daemons)$ ]] || usage_error "up: --only knows kafka, redis, libvirtd and daemons, not '$word'"
  done
  mkdir -p "$STATE/etc" "$LOGS" "$PIDS"
  if [ ! -f "$STACK_ENV" ] || ! any_runs; then choose_ports; fi
  if [ -n "$executors" ]; then sed -i "s/^EXECUTORS=.*/EXECUTORS=$executors/" "$STACK_ENV"; fi
  load_stack
  if [ "$simulate" -eq 1 ] && ! simulated; then
    ! running executor-1 || fail "the stack that is up has real machines: tools/dev down, then up --simulated"
    sed -i 's/^SIMULATED=.*/SIMULATED=1/' "$STACK_ENV"
    load_stack
  fi
  # What was killed just now may seem to run until the system has ended it: what counts is whether it answers.
  if [ -z "$ONLY" ] && all_run && status=$(cmd_status); then
    say "The stack is up already:"
    printf '%s\n' "$status"
    return 0
  fi
  for word in $(members); do wait_for 20 "the old $word to end" ended_whole "$word" || true; done
  step "up (state in $STATE)"
  check_ports
  # The accounts that machines run under pass through this folder; what lies in it guards itself.
  install -d -m 711 "$RUN"
  if wants kafka; then up_kafka; fi
  if wants redis; then up_redis; fi
  if wants libvirtd; then up_libvirtd; fi
  if wants redis; then await redis 10 redis_ready; fi
  if wants libvirtd; then await libvirtd 60 libvirtd_ready; fi
  if wants kafka; then await kafka 60 kafka_ready; fi
  if wants daemons; then up_daemons; fi
}

up_daemons() {
  local n
  for n in hearth hearth-dispatcher hearth-executor; do
    [ -x "$BIN/$n" ] || fail "$n is not built: run tools/dev build"
  done
  simulated || [ -f "$IMAGE/manifest.json" ] || fail "there is no image in $IMAGE: run tools/dev image"
  "$BIN/hearth" --bootstrap "127.0.0.1:$KAFKA_PORT" topics create >&2 || fail "creating the topics failed"
  for ((n = 1; n <= EXECUTORS; ++n)); do up_executor "$n"; done
  up_dispatcher
  for ((n = 1; n <= EXECUTORS; ++n)); do
    await "executor-$n" 180 http_ok "127.0.0.1:${EXECUTOR_PORTS[$((n - 1))]}" /readyz
  done
  await dispatcher 60 http_ok "127.0.0.1:$DISPATCHER_PORT" /readyz
}

# Machines that outlived their executor: this libvirtd is the stack's alone, what is left in it is too.
destroy_domains() {
  local uri name
  uri=$(libvirt_uri)
  running libvirtd || return 0
  while read -r name; do
    [ -n "$name" ] || continue
    say "   destroying $name"
    virsh -q -c "$uri" destroy "$name" >&2 || true
  done < <(timeout 20 virsh -q -c "$uri" list --name 2> /dev/null || true)
}

# Machines that outlived libvirtd itself: their pids are in its run folder, and their command line names them.
kill_machines() {
  local file pid name group
  for file in "$RUN"/libvirt/qemu/*.pid "$RUN"/libvirt/qemu/run/*.pid; do
    name=$(basename "$file" .pid)
    if [ ! -f "$file" ] || [ "$name" = driver ]; then continue; fi
    pid=$(tr -dc 0-9 < "$file")
    if tr '\0' '\n' < "/proc/$pid/cmdline" 2> /dev/null | grep -q "^guest=$name,"; then
      say "   killing machine $name"
      kill -KILL "$pid" 2> /dev/null || true
      wait_for 5 "$name to go" machine_gone "$pid" || true
    fi
    for group in /sys/fs/cgroup/*/machine/qemu-*-"$name".libvirt-qemu /sys/fs/cgroup/machine/qemu-*-"$name".libvirt-qemu; do
      if [ -d "$group" ]; then find "$group" -depth -type d -exec rmdir {} + 2> /dev/null || true; fi
    done
  done
}
machine_gone() { [[ $(field_of "$1" 1) =~ ^Z?$ ]]; }

cmd_down() {
  local file name purge=0 path
  case ${1:-} in
    "") ;;
    --purge) purge=1 ;;
    *) usage_error "down: unknown option $1" ;;
  esac
  load_stack
  step "down (state in $STATE)"
  for file in "$PIDS"/executor-*; do
    [ -f "$file" ] || continue
    name=$(basename "$file")
    stop "$name" 40
  done
  stop dispatcher 40
  destroy_domains
  stop libvirtd 20
  kill_machines
  stop redis 10
  stop kafka 30
  # libvirt leaves the parent of its machines' cgroups; where others have machines in it, it is not empty and stays.
  if is_root; then
    for path in /sys/fs/cgroup/machine /sys/fs/cgroup/*/machine; do rmdir "$path" 2> /dev/null || true; done
  fi
  rm -rf "$RUN" "$PIDS"
  rm -f "$STACK_ENV"
  rm -rf "$STATE/redis"   # what is warm goes with the machines
  if [ $purge -eq 1 ]; then   # by name: the folder may be one in which other things lie
    rm -rf "${STATE:?}"/{etc,logs,code,kafka,libvirt,fuzz,demo} "$STATE"/executor-*
    rm -f "$STATE/demo.lock"
    rmdir "$STATE" 2> /dev/null || true
  fi
}

cmd_status() {
  local name up=1 word address n
  load_stack
  if ! any_runs; then say "The stack is down."; return 1; fi
  while read -r name; do
    address="" word=up n=${name#executor-}
    case $name in
      kafka) address=127.0.0.1:$KAFKA_PORT ;;
      redis) address=unix:$RUN/redis.sock ;;
      libvirtd) address=$(libvirt_uri) ;;
      dispatcher) address=127.0.0.1:$DISPATCHER_PORT ;;
      executor-*) address=127.0.0.1:${EXECUTOR_PORTS[$((n - 1))]} ;;
    esac
    if ! running "$name"; then
      word=DOWN address="" up=0
    elif [[ $name == dispatcher || $name == executor-* ]] && ! http_ok "$address" /readyz; then
      word="not ready" up=0
    fi
    printf '%-12s %-9s pid %-8s %s\n' "$name" "$word" "$(pid_of "$name" || echo -)" "$address"
  done < <(members)
  [ $up -eq 1 ]
}

cmd_logs() {
  local follow=() names=() name
  for name in "$@"; do if [ "$name" = -f ]; then follow=(-f); else names+=("$LOGS/$name.log"); fi; done
  [ ${#names[@]} -gt 0 ] || names=("$LOGS"/*.log)
  [ -e "${names[0]}" ] || fail "no log ${names[0]}"
  tail -n 50 "${follow[@]}" "${names[@]}"
}

cmd_env() {
  load_stack
  [ -n "${KAFKA_PORT:-}" ] || fail "the stack is down: tools/dev up"
  cat <<ENV
export HEARTH_BOOTSTRAP='127.0.0.1:$KAFKA_PORT'
export HEARTH_REDIS='unix:$RUN/redis.sock'
export HEARTH_LIBVIRT_URI='$(libvirt_uri)'
export HEARTH_DISPATCHER_HTTP='127.0.0.1:$DISPATCHER_PORT'
export HEARTH_EXECUTOR_HTTP='127.0.0.1:${EXECUTOR_PORTS[0]}'
export HEARTH_CODE_STORE='$STATE/code'
export PATH='$BIN':"\$PATH"
ENV
}
