"""A foreign Kafka client (confluent-kafka for Python) that sends requests and waits for what comes of them."""

import itertools
import json
import time
import uuid

from confluent_kafka import Consumer, Producer, TopicPartition

DEADLINE_S = 60
ids = itertools.count()


def new_id():
    return f"e2e-{uuid.uuid4().hex[:12]}-{next(ids)}"


class Client:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "message.max.bytes": 4_000_000, "log_level": 0})
        self.asked = {}   # id → what its reply has to name
        self.readers = {}
        self.seen = {}

    def send(self, value=b"", headers=None, topic="hearth.invoke.std", key=b"alice"):
        self.producer.produce(topic, value=value, key=key, headers=headers or {})
        assert self.producer.flush(20) == 0

    def request(self, function, value=b"", user="alice", **more):
        """A request in the headers form; returns its id. Further words become hearth-… headers."""
        invocation = more.pop("id", None) or new_id()
        headers = {"hearth-fn": function, "hearth-user": user, "hearth-id": invocation}
        headers.update({"hearth-" + name.replace("_", "-"): str(text) for name, text in more.items()})
        self.asked[invocation] = {"hearth-fn": function, "hearth-user": user}
        self.send(value, headers, key=user.encode())
        return invocation

    def find(self, topic, accepts, deadline_s=DEADLINE_S):
        """The first record of a topic that is accepted; read from the beginning, waited for."""
        if topic not in self.readers:
            reader = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "e2e", "enable.auto.commit": False, "log_level": 0})
            partitions = reader.list_topics(topic, timeout=20).topics[topic].partitions
            reader.assign([TopicPartition(topic, p, 0) for p in partitions])
            self.readers[topic], self.seen[topic] = reader, []
        for record in self.seen[topic]:
            if accepts(record):
                return record
        end = time.monotonic() + deadline_s
        while time.monotonic() < end:
            message = self.readers[topic].poll(0.5)
            if message is None or message.error():
                continue
            record = Record(message)
            self.seen[topic].append(record)
            if accepts(record):
                return record
        raise AssertionError(f"nothing fitting on {topic} in {deadline_s} s; seen: {self.seen[topic][-5:]}")

    def reply(self, invocation, topic="hearth.reply", deadline_s=DEADLINE_S):
        def is_ours(record):   # not another's under the same id
            asked = self.asked.get(invocation, {}).items()
            return (record.headers.get("hearth-id") == invocation
                    and all(record.headers.get(name, text) == text for name, text in asked))
        return self.find(topic, is_ours, deadline_s)


class Record:
    def __init__(self, message):
        self.null_key, self.null_value = message.key() is None, message.value() is None
        self.raw_headers = message.headers() or []
        self.key = (message.key() or b"").decode(errors="replace")
        self.value = message.value() or b""
        self.headers = {name: (text or b"").decode(errors="replace") for name, text in self.raw_headers}

    @property
    def status(self):
        return self.headers.get("hearth-status")

    @property
    def path(self):
        return self.headers.get("hearth-start-path")

    def json(self):
        return json.loads(self.value)

    def __repr__(self):
        return f"<{self.key} {self.headers} {self.value[:80]!r}>"
