#!/usr/bin/env python3
"""Submits a batch of orders and waits for its end. Needs confluent-kafka, which Debian calls python3-confluent-kafka. ../README.md says how
to run it."""

import json
import os
import sys
import time

try:
    from confluent_kafka import Consumer, Producer, TopicPartition
except ImportError:
    sys.exit("confluent-kafka is missing: apt install python3-confluent-kafka and run /usr/bin/python3, or pip install confluent-kafka")

BOOTSTRAP = os.environ.get("HEARTH_BOOTSTRAP", "127.0.0.1:29092")
USER = os.environ.get("HEARTH_USER", "default")
PATIENCE_S = int(os.environ.get("HEARTH_PATIENCE_S", "90"))
FUNCTION = "orders"


def make_order(number):
    return {"order": f"o-{number}", "customer": ("ada", "edsger", "grace")[number % 3], "item": ("tea", "cup", "kettle")[number % 3], "quantity": 1 + number % 4}


def write_items(producer, batch, count):
    """The partition, and the first and last offset of the items. Records of other batches may lie between them."""
    places = []
    for number in range(count):
        headers = {"hearth-batch": f"{USER}/{batch}", "hearth-item": str(number), "content-type": "application/json"}
        producer.produce("hearth.batch.items", key=USER, value=json.dumps(make_order(number)), headers=headers,
                         on_delivery=lambda error, message: places.append((message.partition(), message.offset())) if error is None else None)
        producer.poll(0)
    if producer.flush(30) != 0 or len(places) != count:
        sys.exit(f"{BOOTSTRAP} did not take all items in 30 s: nothing was submitted")
    return places[0][0], min(offset for _, offset in places), max(offset for _, offset in places)


def state_of(batch, partition):
    """The states of the batch, as they are written."""
    reader = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": "batch-python", "enable.auto.commit": False})
    reader.assign([TopicPartition("hearth.batch.state", partition, 0)])
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        message = reader.poll(0.5)
        if message is None or message.error() or message.key() != f"{USER}/{batch}".encode() or not message.value():
            continue
        yield json.loads(message.value())


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    batch = f"py-{time.time_ns() // 1_000_000}"
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "enable.idempotence": True, "linger.ms": 5, "partitioner": "murmur2_random"})
    partition, first, last = write_items(producer, batch, count)
    spec = {"fn": FUNCTION, "total": count, "ranges": [[partition, first, last]]}
    producer.produce("hearth.batches", key=f"{USER}/{batch}/spec", value=json.dumps(spec), partition=partition)
    if producer.flush(30) != 0:
        sys.exit(f"{BOOTSTRAP} did not take the batch in 30 s")
    for state in state_of(batch, partition):
        if state["state"] != "ended":
            continue
        told = ", ".join(f"{number} {status}" for status, number in state["counts"].items()) or state.get("reason", "")
        print(f"python: batch {batch}: {count} items, {told}")
        sys.exit(0 if state["outcome"] == "succeeded" else 1)
    sys.exit(f"batch {batch} has not ended in {PATIENCE_S} s")


main()
