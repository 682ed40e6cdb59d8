"""One user floods every partition with far more than can run. What another user sends is answered as if it were quiet; what waits
of the flood is left in the log, and is answered to the last, each once, also where its dispatcher is killed in the middle."""

import os
import signal
import statistics
import time

import pytest
from client import Client, Record, new_id
from confluent_kafka import Consumer, TopicPartition
from conftest import deploy, running_stack
from support import Daemon, metric, pid_alive, until

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
    def __init__(self, stack):
        self.stack = stack
        bootstrap = stack.env()["HEARTH_BOOTSTRAP"]
        for user in (LOUD, QUIET):
            deploy(stack, "witness", user=user)
        self.client = Client(bootstrap)
        for user in (LOUD, QUIET):
            self.client.reply(self.client.request("witness", b"{}", user=user))
        self.replies = Replies(bootstrap)

    def flood(self, count):
        sent = [new_id() for _ in range(count)]
        for number, invocation in enumerate(sent):
            self.client.producer.produce(TOPIC, key=str(number).encode(), value=b"{}",
                                         headers={"hearth-fn": "witness", "hearth-user": LOUD, "hearth-id": invocation})
            self.client.producer.poll(0)
        assert self.client.producer.flush(60) == 0
        return sent

    def quiet(self, count):
        """How long the other user's requests take, one after the other, in seconds."""
        times = []
        for _ in range(count):
            asked = time.monotonic()
            invocation = self.client.request("witness", b"{}", user=QUIET)
            self.replies.until(lambda: invocation in self.replies.at, 60)
            times.append(self.replies.at[invocation] - asked)
        return times

    def parked(self, address=None):
        return metric(address or self.stack.env()["HEARTH_DISPATCHER_HTTP"], "hearth_dispatcher_held", what="parked")

    def answered(self, sent):
        self.replies.until(lambda: all(one in self.replies.counts for one in sent))
        assert not self.replies.bad, self.replies.bad[:3]
        assert all(self.replies.counts[one] == 1 for one in sent)


@pytest.fixture(scope="module")
def simulated():
    with running_stack("--simulated") as stack:
        yield World(stack)


@pytest.fixture(scope="module")
def real():
    with running_stack() as stack:
        yield World(stack)


def flood_beside(world, records, requests):
    """Times of the other user before and during the flood, of which some was parked."""
    before = world.quiet(requests)
    sent = world.flood(records)
    until(lambda: (world.parked() or 0) > 0, "nothing is parked")
    during = world.quiet(requests)
    assert not all(one in world.replies.counts for one in sent), "the flood was over before it could be in the way"
    assert any(one in world.replies.counts for one in sent), "the flood stands still"
    return before, during, sent


def test_a_flood_is_nobody_elses_problem(real):
    before, during, sent = flood_beside(real, 3_000, 15)
    assert statistics.median(during) <= 3 * statistics.median(before) and max(during) < 5, (before, during)
    real.answered(sent)


def test_what_is_parked_is_answered_to_the_last_and_once_although_its_dispatcher_is_killed(simulated, place):
    records = 20_000
    killed = simulated.stack.pids()["dispatcher"]
    os.kill(killed, signal.SIGKILL)
    until(lambda: not pid_alive(killed), "it does not end")
    again = Daemon(simulated.stack, place, "hearth-dispatcher", "dispatcher")
    try:
        again.start().ready()
        sent = simulated.flood(records)
        until(lambda: (simulated.parked(again.address) or 0) > records / 4, again.text)
        again.kill()
        again.start()
        slow, = simulated.quiet(1)
        assert slow < 10, slow   # with the group's session, on a host that has other work
        assert not all(one in simulated.replies.counts for one in sent), "the flood was over before it could be in the way"
        during = simulated.quiet(10)
        assert max(during) < 2, during
        simulated.answered(sent)
        until(lambda: simulated.parked(again.address) == 0, again.text)
    finally:
        again.discard()
        simulated.stack.up("--simulated")


@pytest.mark.nightly
def test_a_flood_on_real_machines_leaves_its_neighbours_times_as_they_were(real):
    before, during, sent = flood_beside(real, 15_000, 60)
    ordered = sorted(during)
    assert statistics.median(during) <= 3 * statistics.median(before) and ordered[-2] < 1, (before, during)
    real.answered(sent)
