#!/bin/sh
# Root becomes redis. The official build has its protected mode off; Debian's has it on.
set -e
if [ "$1" = redis-server ]; then
  set -- "$@" --protected-mode no
  if [ "$(id -u)" = 0 ]; then exec setpriv --reuid=redis --regid=redis --clear-groups -- "$@"; fi
fi
exec "$@"
