#!/usr/bin/env bash
# A whole life of a stack in a world of its own: fresh /tmp, /run and /dev/shm, processes, sockets and network that nobody
# else has. Says on stdout what it left behind, one thing a line; exit 0 where the life itself went well.
# Run as root under: unshare --mount --pid --net --ipc --fork --mount-proc world.sh TREE CACHE UID
set -euo pipefail
tree=$1 cache=$2 uid=$3

mount -t tmpfs -o mode=755 none /mnt
mkdir /mnt/{tree,cache,tmp,run,shm}
mount --bind "$tree" /mnt/tree
mount -o remount,bind,ro /mnt/tree
mount --bind "$cache" /mnt/cache
chmod 1777 /mnt/tmp /mnt/shm
mount --bind /mnt/tmp /tmp
mount --bind /mnt/run /run
mount --bind /mnt/shm /dev/shm
ip link set lo up
cd /mnt/tree

settings=(HEARTH_CACHE=/mnt/cache HEARTH_STATE=/tmp/state HEARTH_ACCEL=tcg PATH="$PATH" HOME=/tmp/home)
install -d -m 711 -o "$uid" /tmp/state /tmp/home
if [ "$uid" -ne 0 ]; then
  install -d -m 755 /run/user
  install -d -m 700 -o "$uid" "/run/user/$uid"
  settings+=(XDG_RUNTIME_DIR="/run/user/$uid")
fi
as_user() { setpriv --reuid="$uid" --regid="$uid" --clear-groups env -i "${settings[@]}" "$@"; }

look() {   # what there is, apart from this script and what it looks with
  # shellcheck disable=SC2009
  ps -eo pid=,ppid=,args= | awk -v own=$$ '$1 != own && $2 != own { $1 = $2 = ""; print "process" $0 }'
  ss -Hlntu | awk '{ print "socket", $1, $5 }'
  ss -Hax | awk '$5 != "*" { print "socket", $1, $5 }'
  find /tmp /run /dev/shm -mindepth 1 -printf 'file %p\n'
  awk '{ print "mount", $5 }' /proc/self/mountinfo
  ipcs -a | grep -E '^0x' | sed 's/^/ipc /' || true
  for domain in ${domains:-}; do find /sys/fs/cgroup -path "*machine*$domain*" -printf 'cgroup %p\n'; done
}

life() {
  as_user tools/dev up
  # shellcheck disable=SC2016
  as_user bash -euc '
    eval "$(tools/dev env)"
    hearth --user alice deploy hello --runtime python3 --handler hello.handler examples/hello-python
    hearth --user alice invoke hello --data "{\"name\": \"world\"}"'
  # Machines come from a template, whoever starts them, and have no network.
  # shellcheck disable=SC2016
  as_user timeout 120 bash -euc '
    eval "$(tools/dev env)"
    until found=$(curl -sf --noproxy "*" "$HEARTH_EXECUTOR_HTTP/readyz") && grep -q "^start default: template$" <<< "$found"; do sleep 0.2; done
    grep -q "^network: the processes of machines have none$" <<< "$found"'
  tool=$(as_user tools/dev env | sed -n "s/^export HEARTH_LIBVIRT_URI='\(.*\)'/\1/p")
  domains=$(as_user virsh -q -c "$tool" list --name)
  [ -n "$domains" ]
  as_user tools/dev status
  # What is on Kafka outlives a `down`, whatever the ports are then.
  as_user tools/dev down
  as_user tools/dev up
  # shellcheck disable=SC2016
  as_user bash -euc '
    eval "$(tools/dev env)"
    hearth --user alice functions | grep -w hello
    hearth --user alice invoke hello --data "{\"name\": \"again\"}"'
  as_user tools/dev down --purge
}

as_user install -d -m 711 /tmp/state
look > /mnt/before   # not in a subshell: it would see itself
life >&2 || { tail -n 50 /tmp/state/logs/*.log >&2; exit 1; }
as_user install -d -m 711 /tmp/state   # --purge takes the folder too
look > /mnt/after
sort -o /mnt/before /mnt/before
sort -o /mnt/after /mnt/after
comm -13 /mnt/before /mnt/after
