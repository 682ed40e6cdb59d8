#!/usr/bin/env bash
# debian:bookworm-slim without a registry: Debian by debootstrap, tagged as the official image is. Needs root, debootstrap
# and an engine. The mirror is the one that this host itself installs from, or $MIRROR.
set -euo pipefail
mirror=${MIRROR:-$(apt-cache policy | sed -n 's|^ *[0-9]* \(http[^ ]*\) bookworm/main .*|\1|p' | head -n 1)}
[ -n "$mirror" ] || { echo "base.sh: apt knows no mirror of bookworm; name one with MIRROR" >&2; exit 1; }
security=${mirror%/debian}/debian-security
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
debootstrap --variant=minbase bookworm "$root" "$mirror" > "$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
{
  printf 'deb %s %s main\n' "$mirror" bookworm "$mirror" bookworm-updates
  printf 'deb %s bookworm-security main\n' "$security"
} > "$root/etc/apt/sources.list"
# As the official slim image has it: no servers started, no packages kept, no documents.
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
cat > "$root/etc/apt/apt.conf.d/docker-clean" <<'CONF'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
CONF
echo force-unsafe-io > "$root/etc/dpkg/dpkg.cfg.d/docker-apt-speedup"
printf 'path-exclude /usr/share/%s/*\n' doc man locale info > "$root/etc/dpkg/dpkg.cfg.d/docker"
tar -C "$root" --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*_*' --exclude='./usr/share/doc/*' \
  --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' --exclude='./usr/share/info/*' -c . |
  docker import --change 'CMD ["bash"]' \
    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - debian:bookworm-slim > /dev/null
