#!/usr/bin/env bash
# Sends orders with nothing but kcat and waits for what the function says to each. ../README.md says how to run it.
set -euo pipefail
bootstrap=${HEARTH_BOOTSTRAP:-127.0.0.1:29092}
user=${HEARTH_USER:-default}
results=${HEARTH_RESULTS:-hearth.reply}
patience_s=${HEARTH_PATIENCE_S:-90}
count=${1:-20}
customers=(ada edsger grace)
items=(tea cup kettle boat)

options=(-b "$bootstrap")
# Where ::1 is tried first and refuses, kcat gives up before it tries 127.0.0.1.
if [[ $bootstrap == localhost:* ]]; then options+=(-X broker.address.family=v4); fi

command -v kcat > /dev/null || { echo "kcat is missing: apt install kcat" >&2; exit 1; }
kcat -L "${options[@]}" -m 10 > /dev/null 2>&1 || { echo "no Kafka answers at $bootstrap: is the stack up? HEARTH_BOOTSTRAP says another address" >&2; exit 1; }

begin_ms=$(date +%s%3N)
for ((n = 0; n < count; ++n)); do
  id=kcat-$begin_ms-$n
  customer=${customers[n % 3]}
  printf '{"order":"%s","customer":"%s","item":"%s","quantity":%d}' "$id" "$customer" "${items[n % 4]}" $((n % 5)) |
    kcat -P "${options[@]}" -t hearth.invoke.std -k "$user" -H hearth-fn=orders -H "hearth-user=$user" -H "hearth-id=$id" \
      -H "hearth-reply-to=$results" -H "hearth-order-key=$customer" -H content-type=application/json
done

# What was written since the first order; of a repeated id the first line counts.
answers() {
  kcat -C -q -e "${options[@]}" -t "$results" -o "s@$begin_ms" -f '%k\t%h\t%s\n' | grep "^kcat-$begin_ms-" | awk -F'\t' '!seen[$1]++'
}
how_many() { grep -c "$1" <<< "$found" || true; }

end=$((SECONDS + patience_s))
answered=0
while [ "$answered" -lt "$count" ] && [ $SECONDS -lt $end ]; do
  found=$(answers || true)
  answered=$(how_many '^kcat-')
done
failed=$((answered - $(how_many 'hearth-status=ok')))
echo "kcat: $count sent, $answered answered: $(how_many '"accepted": *true') accepted, $(how_many '"accepted": *false') refused, $failed failed"
[ "$answered" -eq "$count" ] && [ "$failed" -eq 0 ]
