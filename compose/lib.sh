# shellcheck shell=bash
# What compose/hearth and compose/stack share: which compose there is, and whether an engine answers.
# Sourced with NAME, the script's own, and HERE, its folder.

say() { printf '%s\n' "$*" >&2; }
fail() { say "$NAME: $*"; exit 1; }

# The oldest docker-compose that knows profiles, and starts one service when another has ended well.
OLDEST_COMPOSE=1.29.0

# find_compose: COMPOSE is the command, as an array: the plugin of docker, or the program docker-compose.
find_compose() {
  local version
  if docker compose version > /dev/null 2>&1; then
    COMPOSE=(docker compose)
  elif command -v docker-compose > /dev/null; then
    COMPOSE=(docker-compose)
  elif command -v docker > /dev/null; then
    fail "there is Docker, but no compose: install docker-compose-plugin, or Debian's package docker-compose"
  else
    fail "there is no Docker: install it (Debian: apt-get install docker.io docker-compose), or use tools/dev demo, which needs none"
  fi
  version=$("${COMPOSE[@]}" version --short 2> /dev/null | sed 's/^v//')
  if [ "$(printf '%s\n' "$OLDEST_COMPOSE" "${version:-0}" | sort -V | head -n 1)" != "$OLDEST_COMPOSE" ]; then
    fail "${COMPOSE[*]} is version ${version:-unknown}; the stack needs $OLDEST_COMPOSE or newer"
  fi
}

# Asked by the program that will speak to it, since docker itself may be missing.
find_engine() {
  local said
  said=$("${COMPOSE[@]}" --project-directory "$HERE" -f "$HERE/docker-compose.yml" ps -q 2>&1 > /dev/null) && return
  case $said in
    *[Pp]ermission\ denied*) fail "this user may not speak to Docker: join the group docker (sudo usermod -aG docker $(id -un), then log in again), or use sudo" ;;
    *onnection\ refused* | *annot\ connect* | *ouldn\'t\ connect* | *o\ such\ file* | *ot\ running*)
      fail "no Docker engine answers at ${DOCKER_HOST:-unix:///var/run/docker.sock}: start it (sudo systemctl start docker), or name another with DOCKER_HOST" ;;
    *) fail "compose does not work here: $said" ;;
  esac
}
