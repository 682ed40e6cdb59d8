"""One user who floods and one who does not: what tests of floods and of pressure share."""

import os
import pathlib
import socket
import statistics
import struct
import time

from client import Client, Record, new_id
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from conftest import deploy
from support import Daemon, metric, until

TOPIC = "hearth.invoke.std"
LOUD, QUIET = "loud", "quiet"


class Replies:
    """All that comes on the reply topic from now on: how often each id was answered, and when first."""

    def __init__(self, bootstrap):
        self.reader = Consumer({"bootstrap.servers": bootstrap, "group.id": "flood", "enable.auto.commit": False, "log_level": 0})
        partitions = self.reader.list_topics("hearth.reply", timeout=20).topics["hearth.reply"].partitions
        ends = [TopicPartition("hearth.reply", p, self.reader.get_watermark_offsets(TopicPartition("hearth.reply", p), 20)[1])
                for p in partitions]
        self.reader.assign(ends)
        self.counts, self.at, self.bad = {}, {}, []

    def read(self, wait_s=0.0):
        for message in self.reader.consume(1000, wait_s):
            if message.error():
                continue
            record = Record(message)
            invocation = record.headers["hearth-id"]
            self.counts[invocation] = self.counts.get(invocation, 0) + 1
            self.at.setdefault(invocation, time.monotonic())
            if record.status != "ok":
                self.bad.append(record)

    def until(self, holds, deadline_s=240):
        end = time.monotonic() + deadline_s
        while not holds():
            assert time.monotonic() < end, f"{len(self.counts)} answered, {self.bad[:3]}"
            self.read(0.01)


class World:
    """Two users of a stack, and where they send; `dispatcher`: one of the test's own, with topics of its own. The loud user's
    function is as `function` says, as of conftest.deploy."""

    def __init__(self, stack, loud=LOUD, quiet=QUIET, dispatcher=None, topic=TOPIC, warm=True, **function):
        self.stack, self.loud, self.quiet_user, self.dispatcher, self.topic = stack, loud, quiet, dispatcher, topic
        self.client = Client(stack.env()["HEARTH_BOOTSTRAP"])
        deploy(stack, "witness", user=loud, **function)
        deploy(stack, "witness", user=quiet)
        self.replies = Replies(self.client.bootstrap)
        self.quiet(1)   # the registry has arrived: functions are in one partition
        if warm:
            self.answered(self.flood(1))

    def flood_later(self, user, value=b"{}", key="one", topic=None, **more):
        """One request that is on its way once flushed() is back. Further words become hearth-… headers."""
        invocation = new_id()
        headers = {"hearth-fn": "witness", "hearth-user": user, "hearth-id": invocation}
        headers.update({"hearth-" + name.replace("_", "-"): text for name, text in more.items()})
        while True:
            try:
                self.client.producer.produce(topic or self.topic, key=key.encode(), value=value, headers=headers)
                self.client.producer.poll(0)
                return invocation
            except BufferError:   # the client's own queue is full
                self.client.producer.poll(0.1)

    def flushed(self):
        assert self.client.producer.flush(60) == 0

    def flood(self, count, user=None, **each):
        """That many requests; what is said of each may be a function of its number. By default it has a key of its own."""
        said = {"key": str, **each}
        sent = [self.flood_later(user or self.loud, **{name: it(number) if callable(it) else it for name, it in said.items()})
                for number in range(count)]
        self.flushed()
        return sent

    def quiet(self, count):
        """How long the other user's requests take, one after the other, in seconds."""
        times = []
        for _ in range(count):
            asked = time.monotonic()
            invocation, = self.flood(1, user=self.quiet_user, key=self.quiet_user)
            self.replies.until(lambda: invocation in self.replies.at, 60)
            times.append(self.replies.at[invocation] - asked)
        return times

    def held(self, what, address=None):
        if address is None:
            address = self.dispatcher.address if self.dispatcher else self.stack.env()["HEARTH_DISPATCHER_HTTP"]
        return metric(address, "hearth_dispatcher_held", what=what)

    def parked(self, address=None):
        return self.held("parked", address)

    def answered(self, sent, ok=True):
        """All of it is, each once."""
        self.replies.until(lambda: all(one in self.replies.counts for one in sent))
        assert not ok or not self.replies.bad, self.replies.bad[:3]
        self.replies.read()
        assert all(self.replies.counts[one] == 1 for one in sent)


def is_as_if_quiet(before, during, longest_s=5, times=3):
    """Whether the times of the other user say so, on a host that has other work too."""
    assert statistics.median(during) <= times * max(statistics.median(before), 0.02) and max(during) < longest_s, (before, during)


class Apart:
    """A dispatcher with request topics, a ledger and a group of its own, which uses the stack's executors."""

    def __init__(self, stack, place, name, partitions=4, **counts):
        self.stack, self.name, self.bootstrap = stack, name, stack.env()["HEARTH_BOOTSTRAP"]
        self.topics = {key: f"{name}.{key}" for key in ("rt", "std", "batch", "ledger")}
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        for key in self.topics:
            self.create(key, counts.get(key, partitions))
        self.daemon = Daemon(stack, place, "hearth-dispatcher", "dispatcher", id=name, topics=self.topics)
        self.daemon.config["kafka"]["group"] = name

    def create(self, key, partitions=4):
        settings = {"cleanup.policy": "compact"} if key == "ledger" else {}
        for made in self.admin.create_topics([NewTopic(self.topics[key], partitions, 1, config=settings)]).values():
            made.result()
        until(lambda: self.topics[key] in self.admin.list_topics(timeout=20).topics, "the topic is not there")

    def delete(self, key):
        for gone in self.admin.delete_topics([self.topics[key]]).values():
            gone.result()
        until(lambda: self.topics[key] not in self.admin.list_topics(timeout=20).topics, "the topic is still there")

    def offsets(self, key):
        """Where each partition of the topic begins and ends, and where its commit is."""
        group = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.name, "enable.auto.commit": False, "log_level": 0})
        count = len(group.list_topics(self.topics[key], timeout=20).topics[self.topics[key]].partitions)
        all_of_it = [TopicPartition(self.topics[key], number) for number in range(count)]
        found = [(*group.get_watermark_offsets(each, timeout=20), each.offset) for each in group.committed(all_of_it, timeout=20)]
        group.close()
        return found


def delete_records(bootstrap, topic, offsets):
    """What lies below the offset of each partition is gone. The stack has one broker, which leads all partitions. The packaged
    client cannot ask for it; this is DeleteRecords, version 0, of Kafka's protocol."""
    def text(words):
        return struct.pack(">h", len(words)) + words.encode()

    body = struct.pack(">i", 1) + text(topic) + struct.pack(">i", len(offsets))
    body += b"".join(struct.pack(">iq", partition, offset) for partition, offset in offsets.items()) + struct.pack(">i", 20_000)
    request = struct.pack(">hhi", 21, 0, 1) + text("e2e") + body
    host, port = bootstrap.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=30) as broker, broker.makefile("rb") as answer:
        broker.sendall(struct.pack(">i", len(request)) + request)
        size, = struct.unpack(">i", answer.read(4))
        reply = answer.read(size)
    results = reply[4 + 4 + 4 + 2 + len(topic) + 4:]   # after correlation, throttle time, topics, name, partitions
    errors = [code for _, _, code in struct.iter_unpack(">iqh", results)]
    assert errors == [0] * len(offsets), errors


def memory_group(name, limit_bytes):
    """A control group with that bound, or None. Tests make groups nowhere but in the folder that $HEARTH_TEST_CGROUP names, of
    version 1 with `memory` or of version 2: the group that they run in is somebody else's."""
    if "HEARTH_TEST_CGROUP" not in os.environ:
        return None
    group = pathlib.Path(os.environ["HEARTH_TEST_CGROUP"]) / name
    group.mkdir()
    first = group / "memory.limit_in_bytes"
    (first if first.exists() else group / "memory.max").write_text(str(limit_bytes))
    return group


def peak_bytes(process):
    """The most memory that the process has ever had."""
    line = next(line for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) << 10
