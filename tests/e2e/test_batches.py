"""Batches from end to end: submitted by foreign clients and by the command line, run by a dispatcher and executors that may die."""

import collections
import json
import os
import signal
import subprocess

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from client import Client
from conftest import deploy, running_stack
from support import metric, pid_alive, until

HOME = 5   # the partition of alice, of 8: what Kafka's Java partitioner makes of her name


class Batches:
    """What a foreign client sees of alice's batches."""

    def __init__(self, stack):
        self.stack, self.env = stack, stack.env()
        self.bootstrap = self.env["HEARTH_BOOTSTRAP"]
        self.producer = Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 5, "log_level": 0})

    def hearth(self, *words, timeout=120):
        return subprocess.run(["hearth", "--user", "alice", "batch", *map(str, words)], env=self.env, text=True, capture_output=True,
                              timeout=timeout, stdin=subprocess.DEVNULL)

    def why(self, invocation):
        return subprocess.run(["hearth", "--user", "alice", "why", invocation], env=self.env, text=True, capture_output=True, timeout=60,
                              stdin=subprocess.DEVNULL)

    def write(self, batch, kind, value):
        self.producer.produce("hearth.batches", partition=HOME, key=f"alice/{batch}/{kind}", value=json.dumps(value))
        assert self.producer.flush(20) == 0

    def items(self, batch, payloads):
        """Items, as any client writes them; where they lie."""
        offsets = []
        for index, payload in enumerate(payloads):
            self.producer.produce("hearth.batch.items", partition=HOME, key="alice", value=payload,
                                  headers={"hearth-batch": f"alice/{batch}", "hearth-item": str(index)},
                                  on_delivery=lambda error, message: offsets.append(message.offset()))
            self.producer.poll(0)
        assert self.producer.flush(60) == 0 and len(offsets) == len(payloads)
        return [HOME, min(offsets), max(offsets)]

    def read(self, topic):
        reader = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "looks", "enable.auto.commit": False, "log_level": 0})
        at, end = reader.get_watermark_offsets(TopicPartition(topic, HOME), timeout=20)
        reader.assign([TopicPartition(topic, HOME, at)])
        while at < end:
            message = reader.poll(20)
            assert message is not None and not message.error(), topic
            at = message.offset() + 1
            yield message
        reader.close()

    def state(self, batch):
        state = None
        for record in self.read("hearth.batch.state"):
            if record.key() == f"alice/{batch}".encode() and record.value():
                state = json.loads(record.value())
        return state

    def ended(self, batch, deadline_s=120):
        def has_ended():
            state = self.state(batch)
            return state if state and state["state"] == "ended" else None
        return until(has_ended, lambda: f"{batch} does not end: {self.state(batch)}", deadline_s)

    def results(self, batch, generation=0):
        """index → statuses of its results, in the order in which they lie there."""
        found = collections.defaultdict(list)
        for record in self.read("hearth.batch.results"):
            headers = {name: value.decode() for name, value in record.headers()}
            if headers.get("hearth-batch") == f"alice/{batch}" and int(headers["hearth-generation"]) == generation:
                found[int(headers["hearth-item"])].append(headers["hearth-status"])
        return found


@pytest.fixture(scope="module")
def stack():
    with running_stack("--simulated") as stack:
        yield stack


@pytest.fixture(scope="module")
def batches(stack):
    deploy(stack, "witness", name="hello", attempts=3, timeout_ms=20000)
    deploy(stack, "witness", name="once", attempts=1, timeout_ms=20000)
    client = Client(stack.env()["HEARTH_BOOTSTRAP"])
    client.reply(client.request("hello", b"{}"))   # the registry has arrived everywhere
    return Batches(stack)


def test_one_line_of_kcat_is_a_batch(batches):
    line = 'alice/kcat-1/spec|{"fn":"hello","inline":[{"name":"Ada"},{"name":"Alan"}]}'
    done = subprocess.run(["kcat", "-b", batches.bootstrap, "-P", "-t", "hearth.batches", "-p", str(HOME), "-K", "|"], input=line, text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    state = batches.ended("kcat-1")
    assert (state["outcome"], state["counts"]) == ("succeeded", {"ok": 2}), state
    assert batches.results("kcat-1") == {0: ["ok"], 1: ["ok"]}
    assert state["results"][0] <= state["results"][1]


def test_items_of_a_foreign_producer_run_where_they_lie(batches):
    where = batches.items("py-1", [json.dumps({"n": n}) for n in range(3000)])
    batches.write("py-1", "spec", {"fn": "hello", "total": 3000, "ranges": [where]})
    state = batches.ended("py-1")
    assert (state["outcome"], state["counts"]) == ("succeeded", {"ok": 3000}), state
    results = batches.results("py-1")
    assert sorted(results) == list(range(3000)) and all(one == ["ok"] for one in results.values())


def test_a_file_is_submitted_and_its_results_come_back_in_order(batches, place):
    source, out = place / "in.jsonl", place / "out.jsonl"
    source.write_text("".join(json.dumps({"simulate": {"bytes": 10 + n % 3}}) + "\n" for n in range(500)))
    done = batches.hearth("submit", source, "--fn", "hello", "--id", "file-1", "--wait", "--out", out)
    assert done.returncode == 0, (done.stdout, done.stderr)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["i"] for line in lines] == list(range(500)) and all(line["status"] == "ok" for line in lines)
    again = batches.hearth("submit", source, "--fn", "hello", "--id", "file-1", "--wait")
    assert again.returncode == 0, "the same batch is attached to: " + again.stderr
    source.write_text("1\n")
    other = batches.hearth("submit", source, "--fn", "hello", "--id", "file-1")
    assert other.returncode != 0 and "file-1" in other.stderr, other.stderr


def test_what_failed_is_told_and_run_again(batches, place):
    source = place / "in.jsonl"
    source.write_text("".join(json.dumps({"simulate": {"fail": True}} if n % 10 == 0 else {}) + "\n" for n in range(100)))
    dispatcher = batches.env["HEARTH_DISPATCHER_HTTP"]
    before = {status: metric(dispatcher, "hearth_dispatcher_batch_items_total", status=status) for status in ("ok", "error")}
    done = batches.hearth("submit", source, "--fn", "once", "--id", "fails-1", "--wait")
    assert done.returncode == 1, (done.stdout, done.stderr)
    state = batches.state("fails-1")
    assert (state["outcome"], state["counts"]) == ("partial", {"ok": 90, "error": 10}), state
    for status, more in (("ok", 90), ("error", 10)):
        until(lambda: metric(dispatcher, "hearth_dispatcher_batch_items_total", status=status) == before[status] + more,
              lambda: f"{status}: {metric(dispatcher, 'hearth_dispatcher_batch_items_total', status=status)} beside {before}")
    done = batches.hearth("redrive", "fails-1", "--wait")
    assert done.returncode == 1, (done.stdout, done.stderr)
    state = batches.state("fails-1")
    assert (state["generation"], state["counts"]) == (1, {"ok": 90, "error": 10}), state
    assert sorted(batches.results("fails-1", 1)) == list(range(0, 100, 10))


def test_a_redrive_runs_the_version_that_it_names(stack, batches, place):
    source = place / "in.jsonl"
    source.write_text(json.dumps({"simulate": {"fail": True}}) + "\n1\n")
    deploy(stack, "witness", name="anew", attempts=1)
    assert batches.hearth("submit", source, "--fn", "anew", "--id", "anew-1", "--wait").returncode == 1
    deploy(stack, "witness", name="anew", attempts=1)
    done = batches.hearth("redrive", "anew-1", "--version", "newest", "--wait")
    assert done.returncode == 1 and "2/2 done: 1 ok, 1 error" in done.stdout, (done.stdout, done.stderr)
    assert batches.hearth("redrive", "anew-1", "--version", 7).returncode == 1, "no such version is deployed"
    assert batches.hearth("redrive", "anew-1").returncode == 0, "as it ran last"
    assert batches.ended("anew-1")["generation"] == 2


def test_what_is_deployed_anew_pauses_a_redrive_and_says_how_to_go_on(stack, batches, place):
    source = place / "in.jsonl"
    source.write_text(json.dumps({"simulate": {"fail": True}}) + "\n1\n")
    deploy(stack, "witness", name="later", attempts=1)
    assert batches.hearth("submit", source, "--fn", "later", "--id", "later-1", "--wait").returncode == 1
    deploy(stack, "witness", name="later", attempts=1)
    assert batches.hearth("redrive", "later-1").returncode == 0
    until(lambda: batches.state("later-1")["state"] == "paused", "it runs another version")
    shown = batches.hearth("status", "later-1")
    assert "hearth --user alice batch resume later-1 goes on with it" in shown.stderr, shown
    assert batches.hearth("resume", "later-1").returncode == 0
    assert batches.ended("later-1")["counts"] == {"ok": 1, "error": 1}
    assert batches.hearth("redrive", "later-1", "--wait").returncode == 1, "what was resumed stays with its version"


def test_what_ran_on_completion_is_told(batches):
    assert batches.hearth("submit", "--count", 3, "--fn", "hello", "--id", "last-1", "--on-complete", "once", "--wait").returncode == 0
    until(lambda: batches.state("last-1").get("on_complete") == "ok", "nothing has run on completion")
    line = json.loads(batches.hearth("results", "last-1", "--on-complete").stdout)
    assert (line["i"], line["status"]) == (-1, "ok"), line
    assert len(batches.hearth("results", "last-1").stdout.splitlines()) == 3
    assert batches.hearth("submit", "--count", 1, "--fn", "hello", "--id", "last-2", "--wait").returncode == 0
    none = batches.hearth("results", "last-2", "--on-complete")
    assert none.returncode == 1 and "nothing has run on completion of last-2" in none.stderr, none


def test_what_lies_in_another_partition_is_found(batches):
    assert batches.hearth("partition").stdout == f"{HOME}\n"
    line = 'alice/astray-1/spec|{"fn":"hello","inline":[{"name":"Ada"},{"name":"Alan"}]}'
    subprocess.run(["kcat", "-b", batches.bootstrap, "-P", "-t", "hearth.batches", "-p", str(HOME + 1), "-K", "|"], input=line, text=True,
                   check=True, timeout=60)
    until(lambda: "ended: succeeded" in batches.hearth("status", "astray-1").stdout, "it is not found, or does not end")
    assert [json.loads(line)["i"] for line in batches.hearth("results", "astray-1").stdout.splitlines()] == [0, 1]
    assert "astray-1" in batches.hearth("list").stdout


def test_why_knows_items_and_batches(batches):
    assert batches.hearth("submit", "--count", 3, "--fn", "hello", "--id", "why-1", "--wait").returncode == 0
    known = batches.why("why-1.2")
    assert known.returncode == 0 and "attempt 1: placed on" in known.stdout and "reply: status ok" in known.stdout, known
    for id, says in (("why-1.3", "batch why-1 has 3 items, why-1.0 to why-1.2"), ("why-1", "batch status why-1 tells how far it is"),
                     ("why-1.0.g1", "batch why-1 was redriven 0 times")):
        unknown = batches.why(id)
        assert unknown.returncode == 1 and says in unknown.stderr, unknown


def test_a_batch_is_paused_resumed_and_cancelled(batches):
    assert batches.hearth("submit", "--count", 200_000, "--fn", "hello", "--id", "steer-1").returncode == 0
    assert batches.hearth("pause", "steer-1").returncode == 0
    before = until(lambda: batches.state("steer-1")["state"] == "paused" and batches.state("steer-1")["counts"], "it does not pause")
    assert batches.hearth("resume", "steer-1").returncode == 0
    until(lambda: batches.state("steer-1")["counts"].get("ok", 0) > before.get("ok", 0), "it does not go on")
    assert batches.hearth("cancel", "steer-1").returncode == 0
    state = batches.ended("steer-1")
    assert state["outcome"] == "cancelled" and sum(state["counts"].values()) == 200_000, state
    assert batches.hearth("status", "steer-1").returncode == 5, "its outcome"
    assert batches.hearth("cancel", "steer-1").returncode != 0, "it has ended"


@pytest.mark.parametrize("spec, says", [
    ({"fn": "nobody", "count": 3}, "nobody"),
    ({"fn": "hello", "total": 3, "topic": "hearth.invoke.std", "ranges": [[0, 0, 2]]}, "hearth.invoke.std"),
    ({"fn": "hello", "total": 3, "topic": "orders", "ranges": [[0, 0, 2]]}, "orders"),
    ({"fn": "hello", "count": 3, "tolerance": "200%"}, "200%"),
    ({"fn": "hello", "count": 3, "deadline": 1000}, "deadline"),
    ({"fn": "hello", "count": -1}, "count"),
    ("not a spec", "object"),
])
def test_a_spec_that_cannot_be_run_is_refused_with_its_reason(batches, spec, says):
    batch = f"refused-{abs(hash(json.dumps(spec)))}"
    batches.write(batch, "spec", spec)
    state = batches.ended(batch)
    assert state["outcome"] == "failed" and says in state["reason"], state


def test_items_that_are_not_there_are_gone(batches):
    batches.write("gone-1", "spec", {"fn": "hello", "total": 3, "ranges": [[HOME, 900_000, 900_002]]})
    state = batches.ended("gone-1")
    assert (state["outcome"], state["counts"]) == ("failed", {"gone": 3}), state


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    until(lambda: not pid_alive(pid), "it does not end")


def killed_in_the_middle(batches, batch, total, payload, step, *up, programs=("dispatcher", "executor-1", "dispatcher")):
    """Processes are killed in the middle, one after the other: each item has one status and one result that counts."""
    where = batches.items(batch, [payload] * total)
    batches.write(batch, "spec", {"fn": "hello", "total": total, "ranges": [where]})

    def ended():
        state = batches.state(batch) or {"counts": {}}
        return sum(count for status, count in state["counts"].items() if status != "pending")
    for program in programs:
        before = ended()
        until(lambda before=before: ended() > before + step, lambda: f"it does not go on: {batches.state(batch)}")
        assert ended() < total - step, "it was too quick for the test"
        kill(batches.stack.pids()[program])
        batches.stack.up(*up)
    state = batches.ended(batch, 300)
    assert (state["outcome"], state["counts"]) == ("succeeded", {"ok": total}), state
    results = batches.results(batch)
    assert sorted(results) == list(range(total))
    again = [index for index, one in results.items() if len(one) > 1]
    assert len(again) <= 512, f"{len(again)} items ran more than once: more than an executor holds"


def test_counts_are_exact_whoever_dies(batches):
    killed_in_the_middle(batches, "dies-1", 20_000, json.dumps({"simulate": {"ms": 5}}), 500, "--simulated")


def test_counts_are_exact_whoever_dies_with_real_machines():
    with running_stack() as stack:
        deploy(stack, "witness", name="hello", attempts=3, timeout_ms=30000)
        client = Client(stack.env()["HEARTH_BOOTSTRAP"])
        client.reply(client.request("hello", b"{}"))
        killed_in_the_middle(Batches(stack), "real-1", 2000, "{}", 100)


@pytest.mark.nightly
def test_a_batch_survives_the_death_of_every_process(batches):
    killed_in_the_middle(batches, "all-1", 100_000, json.dumps({"simulate": {"ms": 5}}), 2000, "--simulated",
                         programs=("dispatcher", "executor-1", "redis", "kafka", "dispatcher", "executor-1"))


@pytest.mark.nightly
def test_a_batch_survives_owners_that_are_killed_again_and_again(empty_stack):
    """tools/dev chaos, small: it says itself what does not hold. The items take 7.5 s without a kill."""
    done = empty_stack.dev("chaos", "--only", "batch", "--items", "6000", "--every", "3", "--run", "20", "--credit", "16", "--json",
                           timeout=600)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    told = json.loads(done.stdout)
    silences = {bound["what"]: bound for bound in told["bounds"] if bound["what"].startswith("silence")}
    exact = [bound for bound in told["bounds"] if bound["what"] not in silences]
    assert len(exact) == 8 and all(bound["held"] for bound in exact), told
    assert told["runs"] == 6000 and {kill["taken_over_by"] for kill in told["kills"]} == {"again", "other"}, told
    # On a loaded host too.
    assert len(silences) == 2 and all(0 < bound["value"] < 3 * bound["limit"] for bound in silences.values()), told
