# shellcheck shell=bash
# setup: all that a bare Debian 12 needs, from Debian's packages and Maven.

# shellcheck source=tools/dev.d/packages.sh
. "$ROOT/tools/dev.d/packages.sh"
PACKAGES=("${BUILD_PACKAGES[@]}" "${IMAGE_PACKAGES[@]}" "${STACK_PACKAGES[@]}")

SETUP_DEV=0   # 1: DEV_PACKAGES too

kafka_libs() { printf '%s/kafka-%s' "$CACHE" "$(sha256sum "$ROOT/tools/kafka/pom.xml" | cut -c1-12)"; }

as_root() {
  if is_root; then "$@"; else sudo "$@"; fi
}

missing_packages() {
  local installed
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' || true)
  printf '%s\n' "$@" | { grep -vxF -f <(printf '%s\n' "$installed") || true; }
}

# What apt does, with its output in a log. A killed apt may have left packages half installed: dpkg finishes them first.
run_apt() {
  local log=$STATE/logs/apt.log
  as_root env DEBIAN_FRONTEND=noninteractive "$@" > "$log" 2>&1 && return
  tail -n 20 "$log" >&2
  explain "$log"
  fail "apt failed ($*); its output: $log"
}
APT_INSTALL=(apt-get -o DPkg::Lock::Timeout=120 install -y -qq --no-install-recommends)

# download_packages, install_packages: MISSING is what is not there yet.
download_packages() {
  local wanted=("${PACKAGES[@]}")
  [ "$SETUP_DEV" = 0 ] || wanted+=("${DEV_PACKAGES[@]}")
  mapfile -t MISSING < <(missing_packages "${wanted[@]}")
  if [ ${#MISSING[@]} -eq 0 ]; then say "   packages: all ${#wanted[@]} are installed"; return; fi
  if ! is_root && ! command -v sudo > /dev/null; then
    fail "packages are missing, and this is neither root nor is there sudo. As root:
   apt-get update && apt-get install -y --no-install-recommends ${MISSING[*]}
   Then run it again."
  fi
  is_root || say "   needs root: sudo apt-get"
  say "   packages: downloading ${#MISSING[@]}: ${MISSING[*]}"
  run_apt apt-get update -qq
  run_apt "${APT_INSTALL[@]}" --download-only "${MISSING[@]}"
}
install_packages() {
  [ ${#MISSING[@]} -gt 0 ] || return 0
  say "   packages: installing them"
  forbid_services
  if [ -n "$(dpkg --audit 2> /dev/null)" ]; then run_apt dpkg --configure -a; fi
  run_apt "${APT_INSTALL[@]}" "${MISSING[@]}"
  allow_services
}
setup_packages() {
  download_packages
  install_packages
}

# policy-rc.d keeps the packages from starting servers of their own. One that is there already is the host's, and stays;
# unless a setup that was killed has left it, which it says itself.
POLICY=${HEARTH_POLICY:-/usr/sbin/policy-rc.d}
POLICY_IS_OURS=0
POLICY_MARK='# of hearth: tools/dev setup, while it installs packages'
forbid_services() {
  [ ! -e "$POLICY" ] || grep -qxF "$POLICY_MARK" "$POLICY" || return 0
  trap allow_services EXIT
  POLICY_IS_OURS=1
  # shellcheck disable=SC2016
  as_root sh -c 'printf "#!/bin/sh\n%s\nexit 101\n" "$2" > "$1" && chmod 755 "$1"' sh "$POLICY" "$POLICY_MARK"
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
      -DincludeScope=runtime > "$STATE/logs/maven.log" 2>&1 ||
      { tail -n 20 "$STATE/logs/maven.log" >&2; explain "$STATE/logs/maven.log"; fail "Maven failed; its output: $STATE/logs/maven.log"; }
    fresh=1
  fi
  if [ "$RENEW_LOCK" = 1 ]; then (cd "$libs" && sha256sum -- *.jar) > "$KAFKA_LOCK"; say "   kafka: lock renewed: $KAFKA_LOCK"; fi
  check_jars "$libs"
  touch "$libs/.complete"
  [ $fresh = 1 ] || say "   kafka: in $libs"
}

cmd_setup() {
  RENEW_LOCK=0
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
