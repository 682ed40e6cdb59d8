#!/usr/bin/env python3
"""Follows the pipeline from outside: prints each order with its result, until as many as asked for were matched. Makes
the results topic where it is absent, and reads from the beginning, so that it may be started before or after a producer.
../README.md says how to run it."""

import json
import os
import sys
import time

try:
    from confluent_kafka import Consumer, KafkaException, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic
except ImportError:
    sys.exit("confluent-kafka is missing: apt install python3-confluent-kafka and run /usr/bin/python3, or pip install confluent-kafka")

BOOTSTRAP = os.environ.get("HEARTH_BOOTSTRAP", "127.0.0.1:29092")
USER = os.environ.get("HEARTH_USER", "default")
RESULTS = os.environ.get("HEARTH_RESULTS", "hearth.reply")
PATIENCE_S = int(os.environ.get("HEARTH_PATIENCE_S", "90"))
REQUESTS = "hearth.invoke.std"
FUNCTION = "orders"


def make_topic(name):
    """A results topic of one's own; its name must be one that the dispatcher allows (admission.reply_topics)."""
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    try:
        if name not in admin.list_topics(timeout=10).topics:
            admin.create_topics([NewTopic(name, num_partitions=4, replication_factor=1)])[name].result(20)
    except KafkaException as error:
        sys.exit(f"Kafka at {BOOTSTRAP}: {error}. Is the stack up? HEARTH_BOOTSTRAP says another address")


def reader_from_the_beginning(topics):
    reader = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": "orders-results", "enable.auto.commit": False})
    partitions = []
    for topic in topics:
        partitions += [TopicPartition(topic, each, 0) for each in reader.list_topics(topic, timeout=10).topics[topic].partitions]
    reader.assign(partitions)
    return reader


def line_of(order, headers, value):
    if headers["hearth-status"] == "ok":
        result = json.loads(value)
        said = f"accepted, {result['total']}" if result["accepted"] else f"refused: {result['reason']}"
    else:
        said = f"{headers['hearth-status']}: {headers.get('hearth-error-message', '')}"
    took_ms = (int(headers.get("hearth-ended-us", 0)) - int(headers.get("hearth-received-us", 0))) / 1000
    return f"{order['order']}: {order['quantity']} {order['item']} for {order['customer']}: {said} ({headers['hearth-start-path']}, {took_ms:.1f} ms)"


def main():
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    make_topic(RESULTS)
    reader = reader_from_the_beginning([REQUESTS, RESULTS])
    orders, results, matched = {}, {}, set()
    end = time.monotonic() + PATIENCE_S
    while len(matched) < wanted and time.monotonic() < end:
        message = reader.poll(0.5)
        if message is None or message.error():
            continue
        headers = {name: (value or b"").decode() for name, value in message.headers() or []}
        if (headers.get("hearth-fn"), headers.get("hearth-user")) != (FUNCTION, USER):
            continue
        name = headers["hearth-id"]
        if message.topic() == REQUESTS:
            orders[name] = json.loads(message.value())
        else:
            results.setdefault(name, (headers, message.value()))   # the first result of an id counts
        if name in orders and name in results and name not in matched:
            matched.add(name)
            print(line_of(orders[name], *results[name]), flush=True)
    print(f"{len(matched)} orders matched to their results")
    sys.exit(0 if len(matched) >= wanted else 1)


main()
