#!/bin/bash
# The first stage of compose/Dockerfile, in two steps so that a change of the sources installs nothing anew.
#
#   build.sh packages   install what compiling and making the guest's image need
#   build.sh programs   compile the sources of the current folder; /out/bin and /out/image have what the images take
set -euo pipefail
# shellcheck source=tools/dev.d/packages.sh
. "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

case ${1:-} in
  packages)
    apt-get update
    apt-get install -y --no-install-recommends "${BUILD_PACKAGES[@]}" "${IMAGE_PACKAGES[@]}"
    ;;
  programs)
    cmake --preset release -DHEARTH_UNITY=ON
    cmake --build build/release --target programs
    install -D -t /out/bin build/release/bin/{hearth,hearth-dispatcher,hearth-executor,hearth-subreaper}
    strip /out/bin/*
    # The lists of packages that the step before fetched may be older than what the mirrors have by now.
    apt-get update
    guest/image/build.sh --agent build/release/bin/hearth-agent --out /out/image --cache /tmp/packages
    rm -rf /tmp/packages build
    ;;
  *) echo "build.sh: packages or programs?" >&2; exit 2 ;;
esac
