#!/usr/bin/env bash
# Builds the folder that a machine starts from: kernel, initramfs with the agent as PID 1, root image with the runtimes,
# and a manifest. Everything comes from Debian packages, unpacked and never installed. No root rights are needed.
# The same inputs give the same bytes.
#
#   guest/image/build.sh --agent FILE --out DIR [--cache DIR]
#
#   --agent  the static hearth-agent
#   --out    gets vmlinux, initramfs.cpio, root.squashfs and manifest.json
#   --cache  keeps downloaded packages between builds (default: DIR/cache of --out)
#
# Needs: apt (with package lists), dpkg-deb, lz4, cpio, mksquashfs, objcopy and strip (binutils).
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
agent='' out='' cache=''

say() { printf 'image: %s\n' "$*"; }
die() { printf 'image: error: %s\n' "$*" >&2; exit 1; }

while (($#)); do
  case $1 in
    --agent) agent=${2:?--agent needs a file}; shift 2 ;;
    --out) out=${2:?--out needs a folder}; shift 2 ;;
    --cache) cache=${2:?--cache needs a folder}; shift 2 ;;
    -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) die "unknown argument '$1' (see --help)" ;;
  esac
done
[[ -n $agent && -n $out ]] || die 'needs --agent and --out (see --help)'
[[ -x $agent ]] || die "no executable agent at $agent"
for tool in apt-get dpkg-deb lz4 cpio mksquashfs objcopy strip sha256sum; do
  command -v "$tool" >/dev/null || die "$tool is not installed"
done

mkdir -p "$out"
out=$(cd "$out" && pwd)
agent=$(cd "$(dirname "$agent")" && pwd)/$(basename "$agent")
mkdir -p "${cache:=$out/cache}"
cache=$(cd "$cache" && pwd)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1700000000}
started=$SECONDS

# What the root image holds, its dependencies included; those named in `unneeded` serve package management only.
root_packages=(python3 libstdc++6 busybox-static)
unneeded=' dpkg tar readline-common libtirpc-common '
# Kernel modules that the agent loads; what they depend on comes along.
modules=(virtio_pci virtio_console virtio_blk squashfs)

work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

say 'resolving packages'
kernel=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n1)
[[ -n $kernel ]] || die 'apt knows no linux-image-cloud-amd64: run apt-get update'
: >"$work/status"
# Against an empty package status apt names the whole closure: URL, file name, size, hash.
closure() {
  apt-get -o Dir::State::status="$work/status" -o Debug::NoLocking=1 --print-uris -y --no-install-recommends install "$@" |
    sed -n "s/^'[^']*' \([^ ]*\.deb\) .*/\1/p" | sort
}
root_files=()
while read -r file; do
  [[ $unneeded == *" ${file%%_*} "* ]] || root_files+=("$file")
done < <(closure "${root_packages[@]}")
((${#root_files[@]})) || die 'apt could not resolve the packages of the root image'
kernel_version=$(apt-cache show "$kernel" | sed -n 's/^Version: //p' | head -n1)
kernel_file=${kernel}_${kernel_version//:/%3a}_amd64.deb

inputs=$({
  sha256sum <"$agent"
  (cd "$here/.." && find image runtime -type f -not -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum)
  printf '%s\n' "$kernel_file" "${root_files[@]}" "$SOURCE_DATE_EPOCH"
} | sha256sum | cut -c1-64)
if [[ -f $out/manifest.json ]] && grep -q "\"inputs\": \"$inputs\"" "$out/manifest.json" &&
  (cd "$out" && sed -n 's/^ *"\([a-z.]*\)": {"sha256": "\([0-9a-f]*\)".*/\2  \1/p' manifest.json | sha256sum --check --status); then
  say "up to date ($out)"
  exit 0
fi

say "downloading $((${#root_files[@]} + 1)) packages (those not in the cache)"
download() {  # FILE.deb: apt verifies the hash against the signed lists
  [[ -s $cache/$1 ]] && return
  local name=${1%%_*} version
  version=${1#*_}; version=${version%_*}; version=${version//%3a/:}
  (cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$name=$version") || die "cannot download $name=$version"
  mv "$work/$1" "$cache/$1"
}
for file in "$kernel_file" "${root_files[@]}"; do download "$file"; done

say 'unpacking the kernel'
mkdir "$work/kernel" "$work/initramfs" "$work/root"
dpkg-deb -x "$cache/$kernel_file" "$work/kernel"
vmlinuz=$(echo "$work"/kernel/boot/vmlinuz-*)
u32() { od -An -tu4 -j "$1" -N 4 "$vmlinuz" | tr -d ' '; }
# The boot protocol's header says where the compressed kernel lies; its last 4 bytes are the unpacked length.
sectors=$(od -An -tu1 -j $((0x1f1)) -N 1 "$vmlinuz" | tr -d ' ')
offset=$(((sectors + 1) * 512 + $(u32 $((0x248)))))
length=$(($(u32 $((0x24c))) - 4))
tail -c +$((offset + 1)) "$vmlinuz" | head -c "$length" >"$work/payload.lz4" || true
[[ $(od -An -tx4 -N 4 "$work/payload.lz4" | tr -d ' ') == 184c2102 ]] || die "the kernel is not packed with lz4"
lz4 -q -d -f "$work/payload.lz4" "$work/vmlinux"

say 'making the initramfs'
module_file() { find "$work/kernel/lib/modules" -name "$1.ko" -o -name "${1//_/-}.ko" | head -n1; }
ordered=()
add_module() {
  local file dependency
  [[ " ${ordered[*]-} " == *" $1 "* ]] && return
  file=$(module_file "$1")
  [[ -n $file ]] || die "the kernel has no module $1"
  objcopy -O binary -j .modinfo "$file" "$work/modinfo"
  for dependency in $(tr '\0' '\n' <"$work/modinfo" | sed -n 's/^depends=//p' | tr ',' ' '); do
    add_module "$dependency"
  done
  ordered+=("$1")
}
for module in "${modules[@]}"; do add_module "$module"; done
mkdir "$work/initramfs/modules"
number=10
for module in "${ordered[@]}"; do
  strip --strip-debug -R .BTF -R .BTF_ids -o "$work/initramfs/modules/$number-$module.ko" "$(module_file "$module")"
  number=$((number + 1))
done
install -m 0755 "$agent" "$work/initramfs/init"
strip -s "$work/initramfs/init"
find "$work/initramfs" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
(cd "$work/initramfs" && find . -print0 | sort -z | cpio --null --create --format=newc --reproducible --owner=+0:+0 --quiet) \
  >"$work/initramfs.cpio"

say 'making the root image'
root=$work/root
for file in "${root_files[@]}"; do dpkg-deb --fsys-tarfile "$cache/$file" | tar -x -C "$root" --no-same-owner --keep-directory-symlink; done
# Debian's merged /usr, as every Debian 12 system has it.
for folder in bin sbin lib lib64; do
  if [[ -d $root/$folder && ! -L $root/$folder ]]; then
    mkdir -p "$root/usr/$folder"
    cp -a "$root/$folder/." "$root/usr/$folder/"
    rm -rf "${root:?}/$folder"
  fi
  mkdir -p "$root/usr/$folder"
  ln -sfn "usr/$folder" "$root/$folder"
done
rm -rf "$root"/usr/share/{doc,man,lintian,bash-completion,python3,perl5,binfmts,applications,pixmaps,menu,locale} \
  "${root:?}/var" "$root"/etc/{cron*,logrotate*,init.d,default} "$root"/usr/lib/python3.11/{idlelib,test}
for applet in sh ash awk base64 basename cat chmod cp cut date dd dirname echo env expr false find grep gunzip gzip head \
  hostname id kill ln ls md5sum mkdir mkfifo mv nice nohup od printf ps pwd readlink realpath rm rmdir sed seq sha256sum sleep \
  sort stat tail tar tee test timeout touch tr true uname uniq unzip wc which xargs yes; do
  [[ -e $root/usr/bin/$applet ]] || ln -s busybox "$root/usr/bin/$applet"
done
mkdir -p "$root"/{code,tmp,proc,dev,sys,etc,var/tmp,usr/lib/hearth}
cp -R "$here/../runtime/." "$root/usr/lib/hearth/"
find "$root/usr/lib/hearth" -name __pycache__ -prune -exec rm -rf {} +
# What the agent runs in each runtime before anybody comes; as large as one transfer of code in several frames.
mkdir "$work/warm-up"
printf 'def handler(event, context):\n    return event\n' >"$work/warm-up/warm_up.py"
printf '#!/bin/sh\nexec cat\n' >"$work/warm-up/warm_up"
head -c 600K /dev/zero >"$work/warm-up/filler"
chmod 755 "$work/warm-up/warm_up"
tar -C "$work/warm-up" --format=ustar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=go=u-w \
  -cf "$root/usr/lib/hearth/warm-up.tar" filler warm_up warm_up.py
chmod 1777 "$root/tmp" "$root/var/tmp"
printf 'root:x:0:0:root:/:/bin/false\nfunction:x:10000:10000:function:/tmp:/bin/sh\n' >"$root/etc/passwd"
: >"$root/etc/machine-id"   # each container's own lies over it
printf 'root:x:0:\nfunction:x:10000:\n' >"$root/etc/group"
printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
printf 'passwd: files\ngroup: files\nhosts: files\n' >"$root/etc/nsswitch.conf"
ldso=$root/usr/lib64/ld-linux-x86-64.so.2
[[ -e $ldso ]] || ldso=$root/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2
guest_python() {
  PYTHONHOME=$root/usr PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 "$ldso" --library-path "$root/usr/lib/x86_64-linux-gnu" \
    "$root/usr/bin/python3.11" -S -B "$@"
}
# Byte code bound to no time stamp: the image is read-only, so Python need not look at the sources.
say 'compiling the Python library (with the interpreter of the image)'
guest_python -m compileall -q -j1 --invalidation-mode unchecked-hash -x '/rehearsal/' -s "$root" -p / \
  "$root/usr/lib/python3.11" "$root/usr/lib/hearth" >"$work/compile.log" 2>&1 || grep -v 'lib2to3/tests' "$work/compile.log" | tail -n 20
guest_python -c 'import json, ctypes, ssl, sqlite3, zlib, hashlib' || die 'the interpreter of the image lacks modules'
chmod -R u+rwX,go+rX,go-w "$root"
chmod 1777 "$root/tmp" "$root/var/tmp"
env -u SOURCE_DATE_EPOCH mksquashfs "$root" "$work/root.squashfs" -comp lz4 -Xhc -b 131072 -noappend -no-progress -quiet -no-xattrs -all-root \
  -mkfs-time 0 -all-time 0 -processors 1 >/dev/null

base='panic=-1 quiet no_timer_check cryptomgr.notests=1 random.trust_cpu=on apparmor=0 audit=0 8250.nr_uarts=0 lsm=capability psi=0'
describe() { printf '"%s": {"sha256": "%s", "bytes": %s}' "$1" "$(sha256sum <"$work/$1" | cut -c1-64)" "$(stat -c %s "$work/$1")"; }
{
  printf '{\n  "format": 1,\n  "version": "%s",\n  "inputs": "%s",\n' "${inputs:0:16}" "$inputs"
  printf '  "kernel": "%s",\n' "$(basename "$vmlinuz" | sed 's/^vmlinuz-//')"
  printf '  "cmdline_tcg": "%s mitigations=off nolapic_timer",\n  "cmdline_kvm": "%s",\n' "$base" "$base"
  printf '  "runtimes": ["python3", "native"],\n  "files": {\n'
  printf '    %s,\n    %s,\n    %s\n  },\n  "packages": {\n' "$(describe vmlinux)" "$(describe initramfs.cpio)" "$(describe root.squashfs)"
  separator=''
  for file in "$kernel_file" "${root_files[@]}"; do
    version=${file#*_}; version=${version%_*}
    printf '%s    "%s": "%s"' "$separator" "${file%%_*}" "${version//%3a/:}"
    separator=$',\n'
  done
  printf '\n  }\n}\n'
} >"$work/manifest.json"
rm -f "$out/manifest.json"
mv -f "$work/vmlinux" "$work/initramfs.cpio" "$work/root.squashfs" "$out/"
mv -f "$work/manifest.json" "$out/manifest.json"
say "done in $((SECONDS - started)) s: $out ($(du -ch "$out"/{vmlinux,initramfs.cpio,root.squashfs} | tail -n1 | cut -f1))"
