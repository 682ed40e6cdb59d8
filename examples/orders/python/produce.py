#!/usr/bin/env python3
"""Sends orders and waits for what the function says to each. Needs confluent-kafka, which Debian calls
python3-confluent-kafka. ../README.md says how to run it."""

import json
import os
import sys
import time
from collections import Counter

try:
    from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
except ImportError:
    sys.exit("confluent-kafka is missing: apt install python3-confluent-kafka and run /usr/bin/python3, or pip install confluent-kafka")

BOOTSTRAP = os.environ.get("HEARTH_BOOTSTRAP", "127.0.0.1:29092")
USER = os.environ.get("HEARTH_USER", "default")
RESULTS = os.environ.get("HEARTH_RESULTS", "hearth.reply")
PATIENCE_S = int(os.environ.get("HEARTH_PATIENCE_S", "90"))
FUNCTION = "orders"


def make_order(run, number):
    return {"order": f"py-{run}-{number}", "customer": ("ada", "edsger", "grace")[number % 3], "item": ("tea", "cup", "kettle", "boat")[number % 4],
            "quantity": number % 5}


def reader_at_the_end(topic):
    """Reads from where the topic ends now: what came before is not for us."""
    reader = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": "orders-python", "enable.auto.commit": False})
    try:
        found = reader.list_topics(topic, timeout=10).topics[topic]
    except KafkaException:
        sys.exit(f"no Kafka answers at {BOOTSTRAP}: is the stack up? HEARTH_BOOTSTRAP says another address")
    if found.error is not None:
        sys.exit(f"there is no topic {topic}: results.py makes it; HEARTH_RESULTS says another")
    ends = [TopicPartition(topic, each) for each in found.partitions]
    for each in ends:
        each.offset = reader.get_watermark_offsets(each, timeout=10)[1]
    reader.assign(ends)
    return reader


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    run = f"{time.time_ns() // 1_000_000}"
    reader = reader_at_the_end(RESULTS)
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "enable.idempotence": True, "linger.ms": 5})
    waiting = {}
    for order in (make_order(run, number) for number in range(count)):
        waiting[order["order"]] = order
        headers = {"hearth-fn": FUNCTION, "hearth-user": USER, "hearth-id": order["order"], "hearth-reply-to": RESULTS,
                   "hearth-order-key": order["customer"], "content-type": "application/json"}
        # Keyed by user: all orders lie in one partition, in which the order key keeps each customer's in their order.
        producer.produce("hearth.invoke.std", key=USER, value=json.dumps(order), headers=headers)
    if producer.flush(30) != 0:
        sys.exit(f"{BOOTSTRAP} did not take all orders in 30 s")

    told, end = Counter(), time.monotonic() + PATIENCE_S
    while waiting and time.monotonic() < end:
        message = reader.poll(0.5)
        if message is None or message.error():
            continue
        headers = {name: (value or b"").decode() for name, value in message.headers() or []}
        if waiting.pop(headers.get("hearth-id"), None) is None:
            continue   # somebody else's, or a repeated one: the first result of an id counts
        if headers["hearth-status"] == "ok":
            told["accepted" if json.loads(message.value())["accepted"] else "refused"] += 1
        else:
            told["failed"] += 1
            print(f"{headers['hearth-id']}: {headers['hearth-status']} {headers.get('hearth-error-type')}: {headers.get('hearth-error-message')}",
                  file=sys.stderr)
    print(f"python: {count} sent, {count - len(waiting)} answered: {told['accepted']} accepted, {told['refused']} refused, {told['failed']} failed")
    if waiting:
        print(f"no result in {PATIENCE_S} s for {', '.join(waiting)}", file=sys.stderr)
    sys.exit(1 if waiting or told["failed"] else 0)


main()
