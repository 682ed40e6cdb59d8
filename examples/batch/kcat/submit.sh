#!/usr/bin/env bash
# Submits a batch of orders with nothing but kcat and waits for its end. ../README.md says how to run it.
set -euo pipefail
bootstrap=${HEARTH_BOOTSTRAP:-127.0.0.1:29092}
user=${HEARTH_USER:-default}
patience_s=${HEARTH_PATIENCE_S:-90}
count=${1:-20}
items=(tea cup kettle)

command -v kcat > /dev/null || { echo "kcat is missing: apt install kcat" >&2; exit 1; }
options=(-b "$bootstrap")
if [[ $bootstrap == localhost:* ]]; then options+=(-X broker.address.family=v4); fi
kcat -L "${options[@]}" -m 10 > /dev/null 2>&1 || { echo "no Kafka answers at $bootstrap: is the stack up? HEARTH_BOOTSTRAP says another address" >&2; exit 1; }

batch=kcat-$(date +%s%3N)
orders=
for ((n = 0; n < count; ++n)); do
  orders+=$(printf '%s{"order":"o-%d","customer":"ada","item":"%s","quantity":%d}' "${orders:+,}" "$n" "${items[n % 3]}" $((1 + n % 4)))
done

# The partition of a user is what murmur2 makes of the name. An item of no batch, keyed by the user, shows it: nobody runs it.
kcat -P "${options[@]}" -t hearth.batch.items -X partitioner=murmur2_random -k "$user" -H "hearth-batch=$user/$batch" -H hearth-item=0 <<< null
partition=$(kcat -C -q -e "${options[@]}" -t hearth.batch.items -o -1 -f '%p %h\n' | grep "hearth-batch=$user/$batch" | cut -d' ' -f1)

printf '%s|{"fn":"orders","inline":[%s]}\n' "$user/$batch/spec" "$orders" |
  kcat -P "${options[@]}" -t hearth.batches -p "$partition" -K '|'

end=$((SECONDS + patience_s))
while [ $SECONDS -lt $end ]; do
  state=$(kcat -C -q -e "${options[@]}" -t hearth.batch.state -p "$partition" -o beginning -f '%k|%s\n' | grep "^$user/$batch|" | tail -n 1 || true)
  [[ $state == *'"state":"ended"'* ]] || continue
  echo "kcat: batch $batch: $count items, $(grep -o '"counts":{[^}]*}' <<< "$state")"
  [[ $state == *'"outcome":"succeeded"'* ]]
  exit
done
echo "batch $batch has not ended in $patience_s s" >&2
exit 1
