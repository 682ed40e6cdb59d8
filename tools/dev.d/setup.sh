# shellcheck shell=bash
# setup: all that a bare Debian 12 needs, from Debian's packages and Maven.

PACKAGES=(
  g++ cmake ninja-build ccache pkg-config git python3 procps util-linux iproute2 shellcheck
  clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev
  librdkafka-dev libhiredis-dev libvirt-dev libmsgpack-cxx-dev libspdlog-dev libfmt-dev libgtest-dev libgmock-dev
  libbenchmark-dev libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libcpp-httplib-dev prometheus-cpp-dev
  libuv1-dev libssl-dev libxxhash-dev libpugixml-dev libarchive-dev libseccomp-dev
  libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86 qemu-utils seabios
  squashfs-tools cpio lz4 binutils redis-server redis-tools kcat curl maven openjdk-17-jdk-headless
  python3-pytest python3-confluent-kafka python3-redis python3-msgpack
)

kafka_libs() { printf '%s/kafka-%s' "$CACHE" "$(sha256sum "$ROOT/tools/kafka/pom.xml" | cut -c1-12)"; }

as_root() {
  if is_root; then "$@"; return; fi
  say "   needs root: sudo $*"
  command -v sudo > /dev/null || fail "there is no sudo: run the command above as root, then tools/dev setup again"
  sudo "$@"
}

missing_packages() {
  local package
  for package in "${PACKAGES[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s\n' "$package"
  done
}

setup_packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  if [ ${#missing[@]} -eq 0 ]; then say "   packages: all ${#PACKAGES[@]} are installed"; return; fi
  say "   packages: installing ${#missing[@]}: ${missing[*]}"
  as_root apt-get update -qq
  # policy-rc.d keeps the packages from starting servers of their own.
  local policy=/usr/sbin/policy-rc.d
  if is_root && [ ! -e $policy ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' > $policy
    chmod 755 $policy
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    > "$STATE/logs/apt.log" 2>&1 || { tail -n 20 "$STATE/logs/apt.log" >&2; fail "apt-get failed; its output: $STATE/logs/apt.log"; }
  if [ -n "$(trap -p EXIT)" ]; then rm -f $policy; trap - EXIT; fi
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

setup_kafka() {
  local libs
  libs=$(kafka_libs)
  if [ -f "$libs/.complete" ]; then say "   kafka: in $libs"; return; fi
  say "   kafka: copying org.apache.kafka:kafka_2.13 and what it needs from Maven"
  mkdir -p "$libs"
  mvn -B -q -f "$ROOT/tools/kafka/pom.xml" dependency:copy-dependencies -DoutputDirectory="$libs" \
    -DincludeScope=runtime > "$STATE/logs/maven.log" 2>&1 || { tail -n 20 "$STATE/logs/maven.log" >&2; fail "Maven failed"; }
  touch "$libs/.complete"
}

cmd_setup() {
  step "setup"
  mkdir -p "$STATE/logs" "$CACHE"
  setup_packages
  setup_users
  setup_kafka
}
