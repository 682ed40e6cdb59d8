"""Dispatchers that die, as their users see it: how long nobody is answered. And a group whose lag returns to zero."""

import os
import signal
import time

import pytest
from client import Client, new_id
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from conftest import deploy, running_stack
from support import Daemon, pid_alive, until

TOPIC = "hearth.invoke.std"
PARTITIONS = 8
TRIES = 3   # what else runs on the host may delay one


@pytest.fixture(scope="module")
def calm():
    """A stack whose dispatchers are killed, and a client of it."""
    with running_stack() as stack:
        deploy(stack, "witness")
        client = Client(stack.env()["HEARTH_BOOTSTRAP"])
        client.reply(client.request("witness", b"{}"))
        yield stack, client


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    until(lambda: not pid_alive(pid), "it does not end")
    return time.monotonic()


def send(client, partition, topic=TOPIC):
    """A request on that partition."""
    invocation = new_id()
    client.producer.produce(topic, partition=partition, key=b"alice", value=b"{}",
                            headers={"hearth-fn": "witness", "hearth-user": "alice", "hearth-id": invocation})
    assert client.producer.flush(20) == 0
    return invocation


def silence(client, died):
    """How long it takes until a request of each partition is answered."""
    sent = [send(client, partition) for partition in range(PARTITIONS)]
    assert all(client.reply(invocation).status == "ok" for invocation in sent)
    return time.monotonic() - died


def test_a_restarted_dispatcher_answers_within_two_seconds(calm, place):
    stack, client = calm
    kill(stack.pids()["dispatcher"])
    again = Daemon(stack, place, "hearth-dispatcher", "dispatcher")
    times = []
    try:
        again.start().ready()
        silence(client, 0)
        for _ in range(TRIES):
            died = kill(again.process.pid)
            again.process.wait()
            again.start()
            times.append(silence(client, died))
        assert min(times) < 2, times
    finally:
        again.discard()
        stack.up()


def test_a_dispatchers_death_is_made_good_by_another_within_four_seconds(calm, place):
    stack, client = calm
    other = Daemon(stack, place, "hearth-dispatcher", "dispatcher", id="dispatcher-2")
    times = []
    try:
        other.start().ready()
        for _ in range(TRIES):
            silence(client, 0)   # both are at work
            died = kill(stack.pids()["dispatcher"])
            times.append(silence(client, died))
            stack.up()
            other.ready()
        assert min(times) < 4, times
    finally:
        other.discard()


def test_of_two_dispatchers_with_one_id_the_first_ends_and_says_why(calm, place):
    stack, client = calm
    twin = Daemon(stack, place, "hearth-dispatcher", "dispatcher", id="twin")
    second = Daemon(stack, place, "hearth-dispatcher", "dispatcher", id="twin")
    second.log = place / "second.log"
    second.config["decisions"] = f"unix:{place}/second.sock"   # as on another host
    try:
        twin.start().ready()
        second.start().ready()
        assert twin.process.wait(timeout=60) == 3
        assert "Another dispatcher with this id" in twin.text(), twin.text()
        silence(client, 0)
    finally:
        twin.discard()
        second.discard()


def test_a_topic_made_anew_is_read_from_its_start(calm):
    stack, client = calm
    topic = "hearth.invoke.batch"
    for _ in range(2):   # what was finished under the old offsets says nothing of the new ones
        sent = [send(client, partition, topic) for partition in (0, 0, 0, 5)]
        assert all(client.reply(invocation).status == "ok" for invocation in sent)
    kafka = AdminClient({"bootstrap.servers": client.bootstrap})
    for gone in kafka.delete_topics([topic]).values():
        gone.result()
    until(lambda: topic not in kafka.list_topics(timeout=20).topics, "it is still there")
    for made in kafka.create_topics([NewTopic(topic, PARTITIONS, 1)]).values():
        made.result()
    until(lambda: topic in kafka.list_topics(timeout=20).topics, "it is not there")
    fresh = Client(client.bootstrap)
    sent = [send(fresh, partition, topic) for partition in (0, 0, 0, 0, 0, 0, 0, 5)]
    assert all(client.reply(invocation).status == "ok" for invocation in sent)


def test_the_lag_returns_to_zero_after_aborted_transactions(calm):
    stack, client = calm
    bootstrap = stack.env()["HEARTH_BOOTSTRAP"]
    writer = Producer({"bootstrap.servers": bootstrap, "transactional.id": new_id()})
    writer.init_transactions(30)
    sent = []
    for end in (writer.commit_transaction, writer.abort_transaction):
        writer.begin_transaction()
        for _ in range(2):
            invocation = new_id()
            writer.produce(TOPIC, partition=3, key=b"alice", value=b"{}",
                           headers={"hearth-fn": "witness", "hearth-user": "alice", "hearth-id": invocation})
            if end == writer.commit_transaction:
                sent.append(invocation)
        writer.flush(30)
        end(30)
    assert all(client.reply(invocation).status == "ok" for invocation in sent)
    group = Consumer({"bootstrap.servers": bootstrap, "group.id": "hearth", "enable.auto.commit": False})
    partitions = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]

    def lag():
        """Of partitions from which anything was read."""
        return {each.partition: group.get_watermark_offsets(each, timeout=20)[1] - each.offset
                for each in group.committed(partitions, timeout=20) if each.offset >= 0}

    until(lambda: set(lag().values()) == {0}, lambda: str(lag()))
    group.close()
