# shellcheck shell=bash
# setup: all that a bare Debian 12 needs, from Debian's packages and Maven.

# shellcheck source=tools/dev.d/packages.sh
. "$ROOT/tools/dev.d/packages.sh"
PACKAGES=("${BUILD_PACKAGES[@]}" "${IMAGE_PACKAGES[@]}" "${STACK_PACKAGES[@]}")

kafka_libs() { printf '%s/kafka-%s' "$CACHE" "$(sha256sum "$ROOT/tools/kafka/pom.xml" | cut -c1-12)"; }

as_root() {
  if is_root; then "$@"; return; fi
  say "   needs root: sudo $*"
  command -v sudo > /dev/null || fail "there is no sudo: run the command above as root, then tools/dev setup again"
  sudo "$@"
}

missing_packages() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s\n' "$package"
  done
}

setup_packages() {
  local missing wanted=("${PACKAGES[@]}")
  [ "$SETUP_DEV" = 0 ] || wanted+=("${DEV_PACKAGES[@]}")
  mapfile -t missing < <(missing_packages "${wanted[@]}")
  if [ ${#missing[@]} -eq 0 ]; then say "   packages: all ${#wanted[@]} are installed"; return; fi
  say "   packages: installing ${#missing[@]}: ${missing[*]}"
  as_root apt-get update -qq
  forbid_services
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    > "$STATE/logs/apt.log" 2>&1 || { tail -n 20 "$STATE/logs/apt.log" >&2; fail "apt-get failed; its output: $STATE/logs/apt.log"; }
  allow_services
}

# policy-rc.d keeps the packages from starting servers of their own. One that is there already is the host's, and stays.
POLICY=${HEARTH_POLICY:-/usr/sbin/policy-rc.d}
POLICY_IS_OURS=0
forbid_services() {
  [ ! -e "$POLICY" ] || return 0
  trap allow_services EXIT
  POLICY_IS_OURS=1
  # shellcheck disable=SC2016
  as_root sh -c 'printf "#!/bin/sh\nexit 101\n" > "$1" && chmod 755 "$1"' sh "$POLICY"
}
allow_services() {
  [ $POLICY_IS_OURS = 1 ] || return 0
  trap - EXIT
  POLICY_IS_OURS=0
  as_root rm -f "$POLICY"
}

setup_users() {
  is_root || return 0
  getent group kvm > /dev/null || { say "   users: group kvm"; groupadd --system kvm; }
  getent group libvirt-qemu > /dev/null || { say "   users: group libvirt-qemu"; groupadd --system libvirt-qemu; }
  getent passwd libvirt-qemu > /dev/null || {
    say "   users: libvirt-qemu"
    useradd --system -g kvm -G libvirt-qemu -d /var/lib/libvirt -M -s /usr/sbin/nologin libvirt-qemu
  }
}

KAFKA_LOCK=$ROOT/tools/kafka/jars.lock

# jars_agree FOLDER LOCK: the folder has the jars of the lock, with their hashes, and no other. Prints what differs.
jars_agree() {
  local differs
  [ -s "$2" ] || return 1
  differs=$(diff <(cd "$1" && sha256sum -- *.jar) "$2" || true)
  [ -n "$differs" ] || return 0
  sed -n 's/^< [0-9a-f]*  /   not as locked: /p; s/^> [0-9a-f]*  /   in the lock: /p' <<< "$differs"
  return 1
}

# Each time before they are used: what lies in a cache may have changed since.
check_jars() {
  jars_agree "$1" "$KAFKA_LOCK" >&2 && return
  rm -f "$1/.complete"
  fail "Kafka's jars in $1 are not those of tools/kafka/jars.lock; tools/dev setup fetches them again.
   After a change of tools/kafka/pom.xml: tools/dev setup --renew-lock"
}

setup_kafka() {
  local libs fresh=0
  libs=$(kafka_libs)
  if [ ! -f "$libs/.complete" ]; then
    say "   kafka: copying org.apache.kafka:kafka_2.13 and what it needs from Maven"
    rm -rf "$libs"
    mkdir -p "$libs"
    mvn -B -q --strict-checksums -f "$ROOT/tools/kafka/pom.xml" dependency:copy-dependencies -DoutputDirectory="$libs" \
      -DincludeScope=runtime > "$STATE/logs/maven.log" 2>&1 || { tail -n 20 "$STATE/logs/maven.log" >&2; fail "Maven failed"; }
    fresh=1
  fi
  if [ "$RENEW_LOCK" = 1 ]; then (cd "$libs" && sha256sum -- *.jar) > "$KAFKA_LOCK"; say "   kafka: lock renewed: $KAFKA_LOCK"; fi
  check_jars "$libs"
  touch "$libs/.complete"
  [ $fresh = 1 ] || say "   kafka: in $libs"
}

cmd_setup() {
  RENEW_LOCK=0
  SETUP_DEV=0
  while [ $# -gt 0 ]; do
    case $1 in
      --dev) SETUP_DEV=1 ;;
      --renew-lock) RENEW_LOCK=1 ;;
      *) usage_error "setup: unknown option $1" ;;
    esac
    shift
  done
  step "setup"
  mkdir -p "$STATE/logs" "$CACHE"
  setup_packages
  setup_users
  setup_kafka
}
