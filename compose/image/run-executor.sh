#!/bin/sh
# Starts the executor with a number that no other container has which shares its volume: `--scale executor=3` gives
# executor-1 to executor-3, each with a folder of its own, and a container that is made anew takes over what the one
# before it left (its templates). The lock is held by the descriptor, for as long as the executor lives.
set -eu
folder=/var/lib/hearth/executor
most=64
number=1
while [ "$number" -le "$most" ]; do
  exec 9> "$folder/$number.lock"
  if flock --nonblock 9; then break; fi
  number=$((number + 1))
done
if [ "$number" -gt "$most" ]; then
  echo "run-executor: $most executors share $folder already" >&2
  exit 1
fi
mkdir -p "$folder/$number"

# The libvirt that is embedded in the executor keeps its files below this root; there is no daemon for machines' output.
root=/tmp/libvirt
mkdir -p "$root/etc"
echo 'stdio_handler = "file"' > "$root/etc/qemu.conf"

if [ "$(id -u)" = 0 ]; then
  # docker-compose.accounts.yml. hearth owns what machines may open, and control groups are read-only in a container.
  cat >> "$root/etc/qemu.conf" <<'CONF'
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
cgroup_controllers = []
CONF
  # Secrets count only where they are the reader's own.
  install -d -m 700 /tmp/accounts
  install -m 400 /accounts/password /accounts/link-secret /tmp/accounts/
  export HEARTH_ACCOUNTS=/tmp/accounts HEARTH_RUN_DIR="/tmp/e$number"
  HEARTH_ADVERTISE=tcp:$(hostname):9201
  export HEARTH_ADVERTISE HEARTH_LISTEN=tcp:0.0.0.0:9201 HEARTH_ALLOW_PLAIN=true
else
  export HEARTH_RUN_DIR="/run/hearth/e$number"
  export HEARTH_LISTEN="unix:/run/hearth/executor-$number.sock"
fi

export HEARTH_EXECUTOR_NUMBER="$number"
exec hearth-executor "$@"
