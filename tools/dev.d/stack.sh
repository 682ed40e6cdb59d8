# shellcheck shell=bash
# The running stack: up, down, status, logs, env. Everything lies in the state folder, sockets in the run folder.

BIN=${HEARTH_BIN:-$ROOT/build/release/bin}
IMAGE=${HEARTH_IMAGE:-$CACHE/image}

load_stack() {
  # shellcheck disable=SC1090
  [ ! -f "$STACK_ENV" ] || . "$STACK_ENV"
}

choose_ports() {
  local ports
  read -r -a ports <<< "$(free_ports 8)"
  mkdir -p "$STATE"
  cat > "$STACK_ENV" <<ENV
KAFKA_PORT=${HEARTH_KAFKA_PORT:-${ports[0]}}
KAFKA_CONTROLLER_PORT=${HEARTH_KAFKA_CONTROLLER_PORT:-${ports[1]}}
DISPATCHER_PORT=${HEARTH_DISPATCHER_PORT:-${ports[2]}}
EXECUTOR_PORTS=(${HEARTH_EXECUTOR_PORT:-${ports[3]}} ${ports[4]} ${ports[5]} ${ports[6]})
EXECUTORS=1
ENV
  load_stack
}

need_port() { port_free "$2" || fail "port $2 for $1 is in use; free it, or choose another with $3"; }

libvirt_uri() {
  if is_root; then printf 'qemu+unix:///system?socket=%s/libvirt/libvirt-sock' "$RUN"; else printf 'qemu:///session'; fi
}

up_kafka() {
  running kafka && return
  need_port kafka "$KAFKA_PORT" HEARTH_KAFKA_PORT
  need_port "kafka's controller" "$KAFKA_CONTROLLER_PORT" HEARTH_KAFKA_CONTROLLER_PORT
  local libs properties=$STATE/etc/kafka.properties
  libs=$(kafka_libs)
  [ -f "$libs/.complete" ] || fail "Kafka is not here yet: run tools/dev setup"
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
  local options=(-Dlog4j2.configurationFile="$STATE/etc/log4j2.properties" -cp "$libs/*")
  if [ ! -f "$STATE/kafka/meta.properties" ]; then
    java -Xmx128m "${options[@]}" kafka.tools.StorageTool format -t "$(java "${options[@]}" kafka.tools.StorageTool random-uuid)" \
      -c "$properties" > "$LOGS/kafka-format.log" 2>&1 || fail "formatting Kafka's storage failed: $LOGS/kafka-format.log"
  fi
  launch kafka java -Xms256m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=4 "${options[@]}" kafka.Kafka "$properties"
}
kafka_ready() { kcat -L -b "127.0.0.1:$KAFKA_PORT" -m 2; }

up_redis() {
  running redis && return
  mkdir -p "$STATE/redis"
  launch redis redis-server --port 0 --unixsocket "$RUN/redis.sock" --unixsocketperm 700 --save '' --appendonly no \
    --dir "$STATE/redis" --daemonize no --logfile ''
}
redis_ready() { [ "$(redis-cli -s "$RUN/redis.sock" ping)" = PONG ]; }

up_libvirtd() {
  is_root || return 0   # an ordinary user's session daemon starts by itself
  running libvirtd && return
  local part
  for part in etc lib; do mkdir -p "$STATE/libvirt/$part"; done
  mkdir -p "$RUN/libvirt" "$CACHE/libvirt"
  chmod 755 "$CACHE/libvirt"
  cat > "$STATE/libvirt/etc/libvirtd.conf" <<CONF
unix_sock_group = "root"
unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "2:stderr"
max_clients = 500
max_workers = 40
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
  [ -x "$BIN/hearth-subreaper" ] || fail "hearth-subreaper is not built: run tools/dev build"
  # A mount namespace of its own gives the daemon private folders; without the second cgroup hierarchy, libvirt takes a
  # hybrid host for what it is; under a subreaper it hears at once when QEMU ends.
  # shellcheck disable=SC2016
  launch libvirtd unshare -m --propagation private bash -c '
    set -e
    mkdir -p /etc/libvirt /var/lib/libvirt /run/libvirt /var/cache/libvirt
    mount --bind "$1/etc" /etc/libvirt
    mount --bind "$1/lib" /var/lib/libvirt
    mount --bind "$2" /run/libvirt
    mount --bind "$3" /var/cache/libvirt
    if mountpoint -q /sys/fs/cgroup/unified && mountpoint -q /sys/fs/cgroup/memory; then umount /sys/fs/cgroup/unified; fi
    exec "$4" /usr/sbin/libvirtd -f /etc/libvirt/libvirtd.conf' \
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
  need_port "the dispatcher's http" "$DISPATCHER_PORT" HEARTH_DISPATCHER_PORT
  local sockets="" n
  for ((n = 1; n <= EXECUTORS; ++n)); do sockets+="\"unix:$RUN/executor-$n.sock\", "; done
  {
    printf 'id = "dispatcher-1"\nhttp = "127.0.0.1:%s"\n' "$DISPATCHER_PORT"
    common_toml
    printf '[redis]\naddress = "unix:%s/redis.sock"\n[link]\nexecutors = [%s]\n' "$RUN" "${sockets%, }"
    printf '[admission]\nreply_topics = ["hearth.reply", "reply.*"]\n'
  } > "$STATE/etc/dispatcher.toml"
  launch dispatcher "$BIN/hearth-dispatcher" --config "$STATE/etc/dispatcher.toml"
}

up_executor() {
  local n=$1 port=${EXECUTOR_PORTS[$(($1 - 1))]}
  running "executor-$n" && return
  need_port "executor $n's http" "$port" HEARTH_EXECUTOR_PORT
  mkdir -p "$STATE/executor-$n" "$STATE/code" "$RUN/e$n"
  chmod 700 "$RUN/e$n"
  {
    printf 'id = "executor-%s"\nhttp = "127.0.0.1:%s"\n' "$n" "$port"
    printf 'listen = "unix:%s/executor-%s.sock"\nrun_dir = "%s/e%s"\n' "$RUN" "$n" "$RUN" "$n"
    printf 'state_dir = "%s/executor-%s"\ncode_store = "%s/code"\n' "$STATE" "$n" "$STATE"
    common_toml
    printf '[redis]\naddress = "unix:%s/redis.sock"\n' "$RUN"
    printf '[machines]\nlibvirt = "%s"\nimage = "%s"\naccel = "%s"\n' "$(libvirt_uri)" "$IMAGE" "${HEARTH_ACCEL:-auto}"
    printf '[[profile]]\nname = "default"\nmemory_mib = 512\nreserve_mib = 160\nvcpus = 1\npool_min = %s\npool_max = 4\n' "${HEARTH_POOL_MIN:-1}"
  } > "$STATE/etc/executor-$n.toml"
  launch "executor-$n" "$BIN/hearth-executor" --config "$STATE/etc/executor-$n.toml"
}

await() {  # await NAME SECONDS PROBE…: ready, or fail with the end of its log
  local name=$1 limit=$2
  shift 2
  if ! wait_for "$limit" "$name" probe_running "$name" "$@"; then
    if [ -f "$LOGS/$name.log" ]; then tail -n 15 "$LOGS/$name.log" >&2; fi
    fail "$name did not become ready; its log: $LOGS/$name.log"
  fi
  say "   $name is ready"
}
probe_running() {
  local name=$1
  shift
  if [ -f "$PIDS/$name" ] && gone "$name"; then
    tail -n 15 "$LOGS/$name.log" >&2
    fail "$name ended while starting; its log: $LOGS/$name.log"
  fi
  "$@"
}

cmd_up() {
  local only="" executors="" n
  while [ $# -gt 0 ]; do
    case $1 in
      --only) only=${2:?}; shift 2 ;;
      --executors) executors=${2:?}; shift 2 ;;
      *) usage_error "up: unknown option $1" ;;
    esac
  done
  load_stack
  if [ -z "$only" ] && running kafka && running redis && running dispatcher && running executor-1; then
    say "The stack is up already:"
    cmd_status
    return 0
  fi
  step "up (state in $STATE)"
  mkdir -p "$STATE/etc" "$LOGS" "$PIDS"
  install -d -m 700 "$RUN"
  if [ ! -f "$STACK_ENV" ]; then choose_ports; fi
  if [ -n "$executors" ]; then sed -i "s/^EXECUTORS=.*/EXECUTORS=$executors/" "$STACK_ENV"; load_stack; fi
  wants() { [ -z "$only" ] || [[ ,$only, == *,$1,* ]]; }
  wants kafka && up_kafka
  wants redis && up_redis
  wants libvirtd && up_libvirtd
  wants redis && await redis 10 redis_ready
  wants libvirtd && await libvirtd 60 libvirtd_ready
  wants kafka && await kafka 60 kafka_ready
  if wants daemons; then
    "$BIN/hearth" --bootstrap "127.0.0.1:$KAFKA_PORT" topics create >&2 || fail "creating the topics failed"
    for ((n = 1; n <= EXECUTORS; ++n)); do up_executor "$n"; done
    up_dispatcher
    for ((n = 1; n <= EXECUTORS; ++n)); do
      await "executor-$n" 180 http_ok "http://127.0.0.1:${EXECUTOR_PORTS[$((n - 1))]}/readyz"
    done
    await dispatcher 60 http_ok "http://127.0.0.1:$DISPATCHER_PORT/readyz"
  fi
  return 0
}

cmd_down() {
  local n name purge=0 uri
  [ "${1:-}" != --purge ] || purge=1
  load_stack
  step "down (state in $STATE)"
  for ((n = 1; n <= ${EXECUTORS:-1}; ++n)); do stop "executor-$n" 40; done
  stop dispatcher 40
  if running libvirtd; then
    uri=$(libvirt_uri)
    while read -r name; do   # this libvirtd is ours alone: what is left in it is too
      [ -z "$name" ] || { say "   destroying $name"; virsh -q -c "$uri" destroy "$name" >&2 || true; }
    done < <(virsh -q -c "$uri" list --name)
  fi
  stop libvirtd 20
  stop redis 10
  stop kafka 30
  rm -rf "$RUN" "$PIDS"
  if [ $purge -eq 1 ]; then rm -rf "$STATE"; else rm -f "$STACK_ENV"; rm -rf "$STATE/kafka" "$STATE/redis"; fi
}

cmd_status() {
  local name file up=1
  load_stack
  if [ ! -d "$PIDS" ]; then say "The stack is down."; return 1; fi
  for file in "$PIDS"/*; do
    name=$(basename "$file")
    if running "$name"; then printf '%-14s up    pid %s\n' "$name" "$(pid_of "$name")"; else printf '%-14s DOWN\n' "$name"; up=0; fi
  done
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
