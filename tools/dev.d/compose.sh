# shellcheck shell=bash disable=SC2034,SC2153
# compose-test: the compose stack on a real Docker engine, with stand-ins for official images where no registry answers.

ENGINE_PACKAGES=(docker.io docker-compose debootstrap iptables)
ENGINE=$CACHE/engine            # what an engine that is started here keeps between runs
PULL_SECONDS=60                 # for one image: longer means that no registry can be reached
COMPOSE_V2=$CACHE/compose-v2/docker-compose

engine_answers() { [ -n "$(docker version --format '{{.Server.Version}}' 2> /dev/null)" ]; }

# An engine of our own, by hand, apart from one that the host may have: its sockets and processes end with the test.
start_engine() {
  local package
  is_root || fail "no Docker engine answers, and starting one needs root: start it (sudo systemctl start docker), or run this as root"
  mapfile -t package < <(missing_packages "${ENGINE_PACKAGES[@]}")
  if [ ${#package[@]} -gt 0 ]; then
    say "   packages: installing ${package[*]}"
    as_root apt-get update -qq
    forbid_services
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${package[@]}" > "$LOGS/apt-docker.log" 2>&1 ||
      { tail -n 20 "$LOGS/apt-docker.log" >&2; fail "apt-get failed; its output: $LOGS/apt-docker.log"; }
    allow_services
  fi
  BRIDGE_WAS_THERE=$([ -d /sys/class/net/docker0 ] && echo 1 || echo 0)
  FORWARD_BEFORE=$(iptables -S FORWARD 2> /dev/null | head -n 1 || true)
  mkdir -p "$RUN/docker" "$ENGINE"
  launch dockerd dockerd --data-root "$ENGINE" --exec-root "$RUN/docker" --pidfile "$RUN/docker.pid" \
    --host "unix://$RUN/docker.sock"
  export DOCKER_HOST=unix://$RUN/docker.sock
  await dockerd 60 engine_answers
}

# What dockerd leaves in the host's network and control groups.
stop_engine() {
  local table rule
  stop dockerd 30
  rm -rf "$RUN/docker" "$RUN/docker.sock" "$RUN/docker.pid"
  if [ "$BRIDGE_WAS_THERE" = 0 ]; then
    ip link del docker0 2> /dev/null || true
    for table in filter nat; do
      while read -r rule; do
        eval "iptables -t $table ${rule/#-A/-D}" 2> /dev/null || true   # its words are quoted
      done < <(iptables -t $table -S 2> /dev/null | grep -E '^-A .*(DOCKER|docker0)')
      while read -r rule; do
        iptables -t $table -F "$rule" || true
        iptables -t $table -X "$rule" || true
      done < <(iptables -t $table -S 2> /dev/null | sed -n 's/^-N \(DOCKER[^ ]*\)$/\1/p')
    done
    # shellcheck disable=SC2086  # words: -P FORWARD ACCEPT
    [ -z "$FORWARD_BEFORE" ] || iptables $FORWARD_BEFORE || true
  fi
  find /sys/fs/cgroup -depth -path '*/docker*' -type d -exec rmdir {} + 2> /dev/null || true
}

have_image() { docker image inspect "$1" > /dev/null 2>&1; }

# An official image: what is here, else from its registry, else a stand-in made by the command behind.
REGISTRY=""   # yes or no, once it was tried
official() {   # official IMAGE COMMAND…
  local image=$1
  shift
  if have_image "$image"; then say "   $image: is here"; return; fi
  if [ "$REGISTRY" != no ] && timeout $PULL_SECONDS docker pull -q "$image" > /dev/null 2>&1; then
    REGISTRY=yes
    say "   $image: pulled"
    return
  fi
  REGISTRY=no
  say "   $image: no registry answers; a stand-in is made"
  "$@" > "$LOGS/stand-in.log" 2>&1 || { tail -n 20 "$LOGS/stand-in.log" >&2; fail "the stand-in for $image failed; its output: $LOGS/stand-in.log"; }
}
stand_in() { docker build -q --label io.hearth.stand-in=1 -t "$2" "$ROOT/tests/compose/standins/$1"; }
stand_in_kafka() {
  local folder=$CACHE/kafka-image
  rm -rf "$folder"
  cp -r "$ROOT/tests/compose/standins/kafka" "$folder"
  cp -r "$(kafka_libs)" "$folder/libs"
  docker build -q -t "$1" "$folder"
  rm -rf "$folder"
}

official_images() {
  step "official images"
  official debian:bookworm-slim "$ROOT/tests/compose/standins/base.sh"
  official apache/kafka:4.1.0 stand_in_kafka apache/kafka:4.1.0
  official redis:7 stand_in redis redis:7
  official prom/prometheus:v2.53.2 stand_in prometheus prom/prometheus:v2.53.2
  official grafana/grafana:11.2.0 stand_in pages grafana/grafana:11.2.0
  official kafbat/kafka-ui:v1.0.0 stand_in pages kafbat/kafka-ui:v1.0.0
}

# Programs that are compiled already, as the image that compose/Dockerfile takes in place of its first stage.
ready_programs() {
  local folder=$CACHE/built-image name
  rm -rf "$folder"
  mkdir -p "$folder/out/bin"
  for name in hearth hearth-dispatcher hearth-executor hearth-subreaper; do strip -o "$folder/out/bin/$name" "$BIN/$name"; done
  cp -r "$IMAGE" "$folder/out/image"
  printf 'FROM debian:bookworm-slim\nCOPY out /out\n' > "$folder/Dockerfile"
  docker build -q -t hearth/built:test "$folder" > "$LOGS/built-image.log" 2>&1 || fail "an image of the programs failed: $LOGS/built-image.log"
  rm -rf "$folder"
}

# Compose v2 as a program. Debian 12 has 1.29 alone; the one of Debian 13 runs here too.
compose_v2() {
  [ ! -x "$COMPOSE_V2" ] || return 0
  local folder=$CACHE/compose-v2 mirror options
  mirror=$(apt-cache policy | sed -n 's|^ *[0-9]* \(http[^ ]*\) bookworm/main .*|\1|p' | head -n 1)
  mkdir -p "$folder/lists/partial" "$folder/cache"
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s trixie main\n' "$mirror" > "$folder/sources.list"
  options=(-o "Dir::Etc::sourcelist=$folder/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$folder/lists"
    -o "Dir::Cache=$folder/cache" -o APT::Sandbox::User=root -qq)
  (
    cd "$folder" && apt-get "${options[@]}" update && apt-get "${options[@]}" download docker-compose &&
      dpkg-deb -x docker-compose_*.deb unpacked && cp unpacked/usr/libexec/docker/cli-plugins/docker-compose .
  ) > "$LOGS/compose-v2.log" 2>&1 || say "   compose v2 could not be fetched ($LOGS/compose-v2.log): it is not tested"
  rm -rf "$folder"/{lists,cache,unpacked,sources.list} "$folder"/*.deb
}

# Runs the tests with an engine, and counts them into PASSED and FAILED. Programs are compiled unless FROM_SOURCE.
FROM_SOURCE=0
ring_compose() {
  local own_engine=0 rc=0
  if [ $FROM_SOURCE = 0 ]; then provide; fi
  step "engine"
  mkdir -p "$PIDS"
  if engine_answers; then
    say "   Docker $(docker version --format '{{.Server.Version}}') answers already"
  else
    own_engine=1
    install -d -m 711 "$RUN"
    trap stop_engine EXIT
    start_engine
  fi
  (
    official_images
    compose_v2
    if [ $FROM_SOURCE = 0 ]; then ready_programs; fi
  )
  if [ $FROM_SOURCE = 0 ]; then export BUILD_IMAGE=hearth/built:test; fi
  step "compose"
  export HEARTH_COMPOSE_V2=$COMPOSE_V2
  run_pytest compose "${COMPOSE_TESTS[@]}" || rc=$?
  if [ $own_engine = 1 ]; then trap - EXIT; stop_engine; fi
  return $rc
}

COMPOSE_TESTS=()
cmd_compose_test() {
  FILTER=""
  while [ $# -gt 0 ]; do
    case $1 in
      --from-source) FROM_SOURCE=1 ;;
      --variants) COMPOSE_TESTS+=(-m "variant or not variant") ;;
      --filter) FILTER=${2:-}; shift || usage_error "compose-test: --filter what?" ;;
      *) usage_error "compose-test: unknown option $1" ;;
    esac
    shift
  done
  mkdir -p "$LOGS" "$CACHE"
  cmd_setup --dev
  ring_compose
  tell_counts
}
