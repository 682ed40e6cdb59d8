# shellcheck shell=bash disable=SC2034
# Debian's packages by what needs them; compose/image/build.sh takes the first two.

# Compiling the programs.
BUILD_PACKAGES=(
  g++ cmake ninja-build pkg-config
  librdkafka-dev libhiredis-dev libvirt-dev libmsgpack-cxx-dev libspdlog-dev libfmt-dev libcli11-dev
  libtomlplusplus-dev nlohmann-json3-dev prometheus-cpp-dev
  libuv1-dev libmicrohttpd-dev libcurl4-openssl-dev libssl-dev libxxhash-dev libpugixml-dev libarchive-dev libseccomp-dev
  libjemalloc-dev libcsv-dev
)
# Making the image that machines start from.
IMAGE_PACKAGES=(python3 squashfs-tools cpio lz4 binutils)
# Running the stack of tools/dev.
STACK_PACKAGES=(
  procps util-linux
  libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86 seabios
  redis-server redis-tools kcat curl maven openjdk-17-jre-headless
)
# Tests, benches and checks.
DEV_PACKAGES=(
  ccache git iproute2 shellcheck clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev libgtest-dev libgmock-dev
  python3-pytest python3-confluent-kafka python3-redis python3-msgpack python3-yaml openjdk-17-jdk-headless
)
# Peers of tools/dev bench peers.
PEER_PACKAGES=(python3-celery python3-venv openjdk-17-jdk-headless)
