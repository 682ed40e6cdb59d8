#!/usr/bin/env bash
# Builds the folder that a machine starts from: kernel, initramfs with the agent as PID 1, root image with the runtimes,
# and a manifest. Everything comes from Debian packages, unpacked and never installed. No root rights are needed.
# The same inputs give the same bytes.
#
#   guest/image/build.sh --agent FILE --out DIR [--cache DIR] [--lock FILE] [--renew-lock]
#   guest/image/build.sh --fetch-only --out DIR [--cache DIR] [--lock FILE]
#
#   --agent  the static hearth-agent
#   --out    gets vmlinux, initramfs.cpio, root.squashfs and manifest.json
#   --cache  keeps downloaded packages between builds (default: DIR/cache of --out)
#   --lock   names, versions and hashes of the packages (default: packages.lock beside this script)
#   --renew-lock  writes the lock anew from what Debian has now
#   --fetch-only  downloads the packages and makes nothing
#
# What the lock names is used, from the cache too only with its hash. Debian's mirrors forget old versions: where one
# cannot be had any more, the build goes on with what Debian's signed index gives, and says so; with HEARTH_LOCKED=1 it
# fails instead.
#
# Needs: apt (with package lists), dpkg-deb, lz4, cpio, mksquashfs, objcopy and strip (binutils).
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
agent='' out='' cache='' lock=$here/packages.lock renew=0 fetch_only=0

say() { printf 'image: %s\n' "$*"; }
die() { printf 'image: error: %s\n' "$*" >&2; exit 1; }

while (($#)); do
  case $1 in
    --agent) agent=${2:?--agent needs a file}; shift 2 ;;
    --out) out=${2:?--out needs a folder}; shift 2 ;;
    --cache) cache=${2:?--cache needs a folder}; shift 2 ;;
    --lock) lock=${2:?--lock needs a file}; shift 2 ;;
    --renew-lock) renew=1; shift ;;
    --fetch-only) fetch_only=1; shift ;;
    -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) die "unknown argument '$1' (see --help)" ;;
  esac
done
[[ -n $out && (-n $agent || $fetch_only == 1) ]] || die 'needs --agent and --out (see --help)'
[[ -x $agent || $fetch_only == 1 ]] || die "no executable agent at $agent"
for tool in apt-get dpkg-deb lz4 cpio mksquashfs objcopy strip sha256sum; do
  command -v "$tool" >/dev/null || die "$tool is not installed"
done

mkdir -p "$out"
out=$(cd "$out" && pwd)
[[ -z $agent ]] || agent=$(cd "$(dirname "$agent")" && pwd)/$(basename "$agent")
mkdir -p "${cache:=$out/cache}"
cache=$(cd "$cache" && pwd)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1700000000}
started=$SECONDS

# What the root image holds, its dependencies included; those named in `unneeded` serve package management only.
root_packages=(python3 libstdc++6 busybox-static)
unneeded=' dpkg tar readline-common libtirpc-common '
# Kernel modules that the agent loads; what they depend on comes along.
modules=(virtio_pci virtio_console virtio_blk squashfs)

# One build of a folder at a time; what an earlier one left that was killed goes.
exec {folder_lock}>"$out/.lock"
flock -n "$folder_lock" || { say "waiting for another build of $out"; flock "$folder_lock"; }
rm -rf "$out"/work.*
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

# ---- packages: what is wanted, by name, version and hash ------------------------------------------------------------
kernel_package=linux-image-cloud-amd64
lock_head="# NAME VERSION SHA256 of: $kernel_package ${root_packages[*]}"
names=()                       # the kernel first
declare -A versions hashes

want() { names+=("$1"); versions[$1]=$2; hashes[$1]=$3; }
file_of() { printf '%s_%s_*.deb' "$1" "${versions[$1]//:/%3a}"; }
hash_of() { sha256sum <"$1" | cut -c1-64; }

# look_up NAME=VERSION…: their hashes in apt's index, as index_hashes[NAME=VERSION]. All in one call: each reads the whole index.
declare -A index_hashes
look_up() {
  local key hash
  (($#)) || return 0
  while read -r key hash; do
    [[ -n ${index_hashes[$key]-} ]] || index_hashes[$key]=$hash
  done < <(apt-cache show --no-all-versions "$@" 2>/dev/null |
    awk '/^Package: / { name = $2 } /^Version: / { version = $2 } /^SHA256: / { print name "=" version, $2 }')
}

# The file in the cache that has the hash, or nothing.
cached() {
  local file
  # shellcheck disable=SC2046
  for file in "$cache"/$(file_of "$1"); do
    if [[ -f $file && $(hash_of "$file") == "${hashes[$1]}" ]]; then printf '%s' "$file"; return; fi
  done
}

read_lock() {
  local name version hash
  names=()
  while read -r name version hash; do
    [[ $name != '#'* ]] || continue
    [[ $hash =~ ^[0-9a-f]{64}$ ]] || die "$lock: not a line of a lock: $name $version $hash"
    [[ -z ${versions[$name]-} ]] || die "$lock: $name is in it twice"
    want "$name" "$version" "$hash"
  done <"$lock"
  [[ ${names[0]-} == linux-image-* ]] || die "$lock: the first package is not a kernel"
  for name in "${root_packages[@]}"; do [[ -n ${versions[$name]-} ]] || die "$lock: $name is not in it"; done
}

# What the lock names and nobody has any more. Another hash for the same version is never an update.
lock_misses() {
  local name key known keys=()
  for name in "${names[@]}"; do
    [[ -n $(cached "$name") ]] || keys+=("$name=${versions[$name]}")
  done
  look_up "${keys[@]}"
  for key in "${keys[@]}"; do
    name=${key%%=*}
    known=${index_hashes[$key]-}
    if [[ -z $known ]]; then
      printf '%s %s\n' "$name" "${versions[$name]}"
    elif [[ $known != "${hashes[$name]}" ]]; then
      die "$name ${versions[$name]}: the index gives the hash $known, the lock ${hashes[$name]}"
    fi
  done
}

# Against an empty package status apt names the whole closure; its index has the hashes.
read_index() {
  local kernel name version key keys=()
  names=()
  kernel=$(apt-cache depends $kernel_package 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n1)
  [[ -n $kernel ]] || die "apt knows no $kernel_package: run apt-get update"
  : >"$work/status"
  apt-get -o Dir::State::status="$work/status" -o Debug::NoLocking=1 --print-uris -y --no-install-recommends install "${root_packages[@]}" |
    sed -n "s/^'[^']*' \([^ ]*\.deb\) .*/\1/p" | sort >"$work/closure"
  [[ -s $work/closure ]] || die 'apt could not resolve the packages of the root image'
  while read -r name version; do
    [[ $unneeded == *" $name "* ]] || keys+=("$name=$version")
  done < <(
    printf '%s %s\n' "$kernel" "$(apt-cache show --no-all-versions "$kernel" | sed -n 's/^Version: //p' | head -n1)"
    sed 's/^\([^_]*\)_\(.*\)_[^_]*$/\1 \2/; s/%3a/:/g' "$work/closure"
  )
  look_up "${keys[@]}"
  for key in "${keys[@]}"; do
    [[ -n ${index_hashes[$key]-} ]] || die "the index has no SHA256 of $key"
    want "${key%%=*}" "${key#*=}" "${index_hashes[$key]}"
  done
}

write_lock() {
  local name
  {
    printf '%s\n' "$lock_head"
    for name in "${names[@]}"; do printf '%s %s %s\n' "$name" "${versions[$name]}" "${hashes[$name]}"; done
  } >"$lock"
}

declare -A files
fetch_packages() {
  local name missing=() absent=()
  for name in "${names[@]}"; do
    files[$name]=$(cached "$name")
    [[ -n ${files[$name]} ]] || missing+=("$name=${versions[$name]}")
  done
  ((${#missing[@]})) || return 0
  say "fetching ${#missing[@]} of ${#names[@]} packages; the others are in the cache"
  (cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "${missing[@]}") || true   # what came is kept; the rest is named
  for name in "${missing[@]%%=*}"; do
    # shellcheck disable=SC2046
    mv -f "$work"/$(file_of "$name") "$cache/" 2>/dev/null || { absent+=("$name=${versions[$name]}"); continue; }
    files[$name]=$(cached "$name")
    [[ -n ${files[$name]} ]] || die "$name ${versions[$name]}: what was downloaded has not the hash ${hashes[$name]}"
  done
  ((${#absent[@]} == 0)) || die "cannot download ${absent[*]}"
}

say 'resolving packages'
if ((renew)); then
  read_index
  write_lock
  say "lock renewed: $lock"
else
  [[ -f $lock && $(head -n1 "$lock") == "$lock_head" ]] || die "$lock does not fit the packages wanted: tools/dev image --renew-lock"
  read_lock
  misses=$(lock_misses)
  if [[ -n $misses ]]; then
    say 'WARNING: the lock names what this host'"'"'s package index does not have:' >&2
    while read -r miss; do say "WARNING:   $miss" >&2; done <<<"$misses"
    say 'WARNING: apt-get update helps where the index is old; else tools/dev image --renew-lock, and commit the lock' >&2
    [[ ${HEARTH_LOCKED:-0} != 1 ]] || die 'HEARTH_LOCKED=1, and the lock cannot be kept'
    say 'WARNING: this image is made from the index, not from the lock' >&2
    read_index
  fi
fi

if ((fetch_only)); then
  fetch_packages
  exit 0
fi

inputs=$({
  sha256sum <"$agent"
  (cd "$here/.." && find image runtime -type f -not -name '*.pyc' -not -name packages.lock -print0 | sort -z | xargs -0 sha256sum)
  for name in "${names[@]}"; do printf '%s %s %s\n' "$name" "${versions[$name]}" "${hashes[$name]}"; done
  printf '%s\n' "$SOURCE_DATE_EPOCH"
} | sha256sum | cut -c1-64)
if [[ -f $out/manifest.json ]] && grep -q "\"inputs\": \"$inputs\"" "$out/manifest.json" &&
  (cd "$out" && sed -n 's/^ *"\([a-z.]*\)": {"sha256": "\([0-9a-f]*\)".*/\2  \1/p' manifest.json | sha256sum --check --status); then
  say "up to date ($out)"
  exit 0
fi

fetch_packages
kernel=${names[0]}

say 'unpacking the kernel'
mkdir "$work/kernel" "$work/initramfs" "$work/root"
dpkg-deb -x "${files[$kernel]}" "$work/kernel"
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
for name in "${names[@]:1}"; do dpkg-deb --fsys-tarfile "${files[$name]}" | tar -x -C "$root" --no-same-owner --keep-directory-symlink; done
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
  for name in "${names[@]}"; do
    printf '%s    "%s": "%s"' "$separator" "$name" "${versions[$name]}"
    separator=$',\n'
  done
  printf '\n  }\n}\n'
} >"$work/manifest.json"
rm -f "$out/manifest.json"
mv -f "$work/vmlinux" "$work/initramfs.cpio" "$work/root.squashfs" "$out/"
mv -f "$work/manifest.json" "$out/manifest.json"
say "done in $((SECONDS - started)) s: $out ($(du -ch "$out"/{vmlinux,initramfs.cpio,root.squashfs} | tail -n1 | cut -f1))"
