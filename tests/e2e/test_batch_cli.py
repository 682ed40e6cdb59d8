"""`hearth batch` without a dispatcher: what it writes is read by a foreign client, which also plays the owner of the batches and
writes their states and results."""

import json
import os
import pty
import random
import re
import signal
import subprocess
import threading
import time
import types

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from conftest import ROOT, running_stack
from flooding import delete_records
from support import until

NEVER_RAN = {"id": None, "status": "cancelled", "error_type": "NoResult",
             "error_message": "it had not started when the batch was cancelled"}
HOME = 5   # the partition of alice, of 8: what Kafka's Java partitioner makes of her name


class Owner:
    """A foreign Kafka client that writes what the owner of alice's batches writes."""

    def __init__(self, env):
        self.env = env
        self.bootstrap = env["HEARTH_BOOTSTRAP"]
        self.producer = Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 0, "log_level": 0})

    def hearth(self, *words, user="alice", **more):
        return subprocess.run(["hearth", "--user", user, "batch", *map(str, words)], env=self.env, text=True, capture_output=True,
                              timeout=60, **{"stdin": subprocess.DEVNULL, **more})

    def start(self, *words, **more):
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(["hearth", "--user", "alice", "batch", *map(str, words)], env=self.env, text=True, **{**streams, **more})

    def read(self, topic, first=None, last=None):
        """Records of alice's partition, up to its end."""
        reader = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "owner", "enable.auto.commit": False, "log_level": 0,
                           "enable.partition.eof": True})
        start, end = reader.get_watermark_offsets(TopicPartition(topic, HOME), timeout=20)
        start, end = max(start, first or 0), min(end, end if last is None else last + 1)
        reader.assign([TopicPartition(topic, HOME, start)])
        records = []
        while start < end:
            message = reader.poll(20)
            assert message is not None, topic
            if message.error():
                break
            if message.offset() >= end:
                break
            records.append(message)
            start = message.offset() + 1
        reader.close()
        return records

    def batches(self):
        """What is on hearth.batches: key → JSON."""
        return {record.key().decode(): json.loads(record.value()) for record in self.read("hearth.batches")}

    def written(self, key):
        return until(lambda: self.batches().get(key), f"{key} does not come", 30)

    def put(self, topic, key, value, headers=None):
        place = []
        self.producer.produce(topic, value=value, key=key, headers=headers, partition=HOME,
                              on_delivery=lambda error, message: place.append(message.offset()))
        assert self.producer.flush(20) == 0
        return place[0]

    def state(self, batch, state="running", digest="0" * 64, generation=0, user="alice", **more):
        counts = more.pop("counts", {"pending": 10})
        value = {"v": 1, "state": state, "fn": "hello", "version": 1, "digest": digest, "generation": generation, "epoch": 1,
                 "total": sum(counts.values()), "counts": counts, "submitted_ms": 1_795_860_900_000, **more}
        self.put("hearth.batch.state", f"{user}/{batch}", json.dumps(value))

    def ended(self, batch, outcome, counts, **more):
        self.state(batch, "ended", outcome=outcome, counts=counts, **more)

    def result(self, batch, index, status="ok", out=None, generation=0, item_id=None):
        headers = {"hearth-batch": f"alice/{batch}", "hearth-item": str(index), "hearth-generation": str(generation),
                   "hearth-id": f"{batch}.{index}", "hearth-user": "alice", "hearth-fn": "hello", "hearth-status": status,
                   "content-type": "application/json"}
        if item_id:
            headers["hearth-item-id"] = item_id
        if status != "ok":
            headers.update({"hearth-error-type": "ValueError", "hearth-error-message": f"no {index}"})
        return self.put("hearth.batch.results", f"{batch}.{index}", json.dumps(out) if status == "ok" else b"", headers)


@pytest.fixture(scope="module")
def owner():
    with running_stack("--only", "kafka,redis") as stack:
        (stack.folder / "code").mkdir()
        assert stack.run("hearth topics create").returncode == 0
        for user in ("alice", "bob"):
            done = stack.run(f"hearth --user {user} deploy hello --handler hello.handler {ROOT / 'examples' / 'hello-python'}")
            assert done.returncode == 0, done.stderr
        owner = Owner(stack.env())
        # What waits in vain takes its time: others are tested meanwhile.
        items = stack.folder / "items.jsonl"
        items.write_text("1\n")
        owner.vain = types.SimpleNamespace(submit=owner.start("submit", items, "--fn", "hello", "--id", "vain"),
                                           pause=owner.start("pause", "nobody-took-it"))
        yield owner


@pytest.fixture
def items(tmp_path):
    file = tmp_path / "items.jsonl"
    file.write_text("".join(json.dumps({"id": f"own-{i}", "in": {"n": i}}) + "\n" for i in range(10)))
    return file


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def take(owner, batch, **more):
    """Waits for the spec, and takes the batch."""
    spec = owner.written(f"alice/{batch}/spec")
    owner.state(batch, digest=spec["digest"], counts={"pending": spec["total"]}, **more)
    return spec


def finished(process, code, *texts):
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, (process.returncode, out, err)
    for text in texts:
        assert text in err, err
    return out, err


def placed(owner, spec):
    """The items that the ranges of a spec name, one behind the other."""
    found = []
    for partition, first, last in spec["ranges"]:
        assert partition == HOME
        found += owner.read("hearth.batch.items", first, last)
    return found


def test_what_is_submitted_is_read_back_in_order_between_records_of_others(owner, tmp_path):
    file = tmp_path / "many.jsonl"
    file.write_text("".join(json.dumps({"n": i, "text": "x" * 300}) + "\n" for i in range(20_000)))
    noise, over = Producer({"bootstrap.servers": owner.bootstrap, "linger.ms": 0, "log_level": 0}), threading.Event()

    def disturb():
        while not over.is_set():
            noise.produce("hearth.batch.items", value=b"0", key=b"alice", partition=HOME,
                          headers={"hearth-batch": "alice/other", "hearth-item": "0"})
            noise.flush(5)

    thread = threading.Thread(target=disturb)
    thread.start()
    process = owner.start("submit", file, "--fn", "hello", "--id", "many", "--concurrency", 7, "--priority", 90, "--tolerate", "5%",
                          "--deadline", "6h", "--label", "team=shop", "--on-complete", "hello", "--version", "newest")
    try:
        spec = take(owner, "many")
    finally:
        over.set()
        thread.join()
    out, err = finished(process, 0, "hearth --user alice batch status many --watch")
    assert out == "many\n"
    found = placed(owner, spec)
    assert len(spec["ranges"]) > 1, "nothing of others came between"
    assert [json.loads(record.value())["n"] for record in found] == list(range(20_000)) and spec["total"] == 20_000
    headers = [dict(record.headers()) for record in found]
    assert {(each["hearth-batch"], each["content-type"]) for each in headers} == {(b"alice/many", b"application/json")}
    assert [int(each["hearth-item"]) for each in headers] == list(range(20_000))
    assert {record.key() for record in found} == {b"alice"}
    assert (spec["fn"], spec["concurrency"], spec["priority"], spec["tolerance"], spec["labels"], spec["on_complete"],
            spec["version"]) == ("hello", 7, 90, "5%", {"team": "shop"}, "hello", "newest")
    assert 5.9 < (spec["deadline"] / 1000 - time.time()) / 3600 < 6.1


def test_an_envelope_names_items_and_a_count_needs_none(owner, items):
    process = owner.start("submit", items, "--fn", "hello", "--id", "named", "--envelope", "--json")
    spec = take(owner, "named")
    found = [dict(record.headers()) for record in placed(owner, spec)]
    assert [each["hearth-item-id"].decode() for each in found] == [f"own-{i}" for i in range(10)]
    said = json.loads(finished(process, 0)[0])
    assert (said["id"], said["total"], said["digest"], said["attached"]) == ("named", 10, spec["digest"], False)
    process = owner.start("submit", "--count", 1000, "--fn", "hello", "--id", "counted")
    spec = take(owner, "counted")
    assert (spec["count"], spec["total"], "ranges" in spec) == (1000, 1000, False)
    finished(process, 0)


def test_the_same_again_attaches_and_another_is_refused(owner, items, tmp_path):
    process = owner.start("submit", items, "--fn", "hello", "--id", "twice")
    take(owner, "twice")
    finished(process, 0)
    before = len(owner.read("hearth.batch.items"))
    done = owner.hearth("submit", items, "--fn", "hello", "--id", "twice", "--concurrency", 3)
    assert done.returncode == 0 and "twice is there already, with the same items: nothing was sent" in done.stderr, done
    other = tmp_path / "other.jsonl"
    other.write_text("1\n")
    done = owner.hearth("submit", other, "--fn", "hello", "--id", "twice")
    assert done.returncode == 1 and "a batch twice with other items is there: 10 items of hello, running" in done.stderr, done
    assert "another --id" in done.stderr and len(owner.read("hearth.batch.items")) == before


def test_who_is_slower_learns_it_and_a_refusal_is_told(owner, items):
    process = owner.start("submit", items, "--fn", "hello", "--id", "slower")
    owner.written("alice/slower/spec")
    owner.state("slower", digest="1" * 64)
    finished(process, 1, "a batch slower with other items is there", "another client was faster")
    process = owner.start("submit", items, "--fn", "hello", "--id", "refused")
    spec = owner.written("alice/refused/spec")
    owner.ended("refused", "failed", {}, reason="topic x is not allowed", digest=spec["digest"])
    finished(process, 1, "refused was refused: topic x is not allowed", "submit it again")
    process = owner.start("submit", items, "--fn", "hello", "--id", "refused")   # what was refused is no batch
    until(lambda: len([r for r in owner.read("hearth.batches") if r.key() == b"alice/refused/spec"]) == 2, "it is not sent again", 30)
    owner.state("refused", digest=spec["digest"])
    finished(process, 0)


def test_wait_follows_it_and_writes_results_in_order(owner, items, tmp_path):
    out, errors = tmp_path / "out.jsonl", tmp_path / "errors.jsonl"
    process = owner.start("submit", items, "--fn", "hello", "--id", "waited", "--envelope", "--wait", "--out", out, "--errors", errors)
    spec = take(owner, "waited")
    order = list(range(10))
    random.Random(3).shuffle(order)
    places = [owner.result("waited", i, "error" if i == 4 else "ok", {"n": i}, item_id=f"own-{i}") for i in order]
    owner.result("others", 0, "ok", "not ours")
    owner.result("waited", 0, "ok", "a second result of it")
    owner.result("waited", -1, "ok", "what ran at the end")
    assert not out.exists()
    owner.ended("waited", "partial", {"ok": 9, "error": 1}, digest=spec["digest"], results=[min(places), max(places) + 3])
    told, err = finished(process, 1, "waited  running  0/10", "waited  ended: partial  10/10  1 failed")
    assert "9 ok, 1 error" in told
    wanted = [{"i": i, "id": f"own-{i}", "status": "ok", "out": {"n": i}} for i in range(10)]
    wanted[4] = {"i": 4, "id": "own-4", "status": "error", "error_type": "ValueError", "error_message": "no 4"}
    assert lines(out) == wanted and lines(errors) == [wanted[4]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["errors.jsonl", "items.jsonl", "out.jsonl"]
    done = owner.hearth("results", "waited")
    assert done.returncode == 0 and [json.loads(line) for line in done.stdout.splitlines()] == wanted, done
    done = owner.hearth("results", "waited", "--unordered")
    assert [json.loads(line)["i"] for line in done.stdout.splitlines()] == order
    done = owner.hearth("results", "waited", "--failed")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [wanted[4]]
    done = owner.hearth("results", "waited", "--out", "/dev/full")
    assert done.returncode == 1 and "cannot write /dev/full: No space left on device" in done.stderr, done


def test_what_never_ran_has_a_status_and_a_cancelled_batch_its_exit_code(owner, tmp_path):
    first = owner.result("stopped", 1, "ok", 1)
    owner.state("stopped", counts={"ok": 1, "pending": 3}, results=[first, first])
    done = owner.hearth("results", "stopped")
    assert [json.loads(line)["i"] for line in done.stdout.splitlines()] == [1] and "3 of 4 items have not ended yet" in done.stderr
    process = owner.start("status", "stopped", "--watch", "--json")
    assert json.loads(process.stdout.readline())["counts"] == {"ok": 1, "pending": 3}
    owner.ended("stopped", "cancelled", {"ok": 1, "cancelled": 3}, reason="tolerance", results=[first, first])
    last = json.loads(finished(process, 5)[0].splitlines()[-1])
    assert (last["id"], last["outcome"], last["reason"]) == ("stopped", "cancelled", "tolerance")
    done = owner.hearth("results", "stopped")
    assert done.returncode == 0
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"i": 0, **NEVER_RAN}, {"i": 1, "id": None, "status": "ok", "out": 1}, {"i": 2, **NEVER_RAN}, {"i": 3, **NEVER_RAN}]
    assert owner.hearth("status", "stopped").returncode == 5


def test_redrive_runs_the_next_generation(owner, tmp_path):
    first = owner.result("again", 0, "ok", "old")
    owner.result("again", 1, "error")
    last = owner.result("again", 2, "timeout")
    owner.ended("again", "partial", {"ok": 1, "error": 1, "timeout": 1}, results=[first, last])
    done = owner.hearth("redrive", "again", "--status", "oom")
    assert done.returncode == 1 and "no item of it is oom: they are 1 ok, 1 error, 1 timeout" in done.stderr, done
    out = tmp_path / "out.jsonl"
    process = owner.start("redrive", "again", "--status", "error,timeout", "--wait", "--out", out)
    assert owner.written("alice/again/want/redrive") == {"generation": 1, "status": ["error", "timeout"]}
    selection = {"generation": 1, "selection": ["error", "timeout"]}
    owner.state("again", counts={"ok": 1, "pending": 2}, results=[first, last], **selection)
    done = owner.hearth("redrive", "again")
    assert done.returncode == 1 and "has not ended: it is running" in done.stderr and "--watch waits for its end" in done.stderr, done
    done = owner.hearth("results", "again")   # what runs again has no result now
    assert [json.loads(line)["i"] for line in done.stdout.splitlines()] == [0], done
    last = owner.result("again", 2, "ok", "new", generation=1)
    owner.result("again", 1, "ok", "of a generation that the state does not know", generation=2)
    owner.ended("again", "cancelled", {"ok": 2, "cancelled": 1}, results=[first, last], **selection)
    finished(process, 5)
    assert lines(out) == [{"i": 0, "id": None, "status": "ok", "out": "old"}, {"i": 1, **NEVER_RAN},
                          {"i": 2, "id": None, "status": "ok", "out": "new"}]


def test_wishes_are_written_and_waited_for(owner):
    owner.state("wished")
    for words, wanted, shown in (
            (("pause",), ("run", "pause"), {"state": "paused"}), (("resume",), ("run", "run"), {"state": "running"}),
            (("cancel", "--now"), ("run", "cancel_now"), {"state": "ended", "outcome": "cancelled", "counts": {"cancelled": 10}})):
        if words[0] == "cancel":
            process = owner.start("set", "wished", "--concurrency", 8, "--priority", 90, "--tolerate", "none")
            until(lambda: "alice/wished/want/tolerance" in owner.batches(), "the last wish does not come", 30)
            kept = owner.batches()
            assert [kept[f"alice/wished/want/{name}"] for name in ("concurrency", "priority", "tolerance")] == [8, 90, None]
            owner.state("wished", concurrency=8, priority=90)
            finished(process, 0)
            shown_now = owner.hearth("status", "wished").stdout
            assert re.search("concurrency +8\npriority +90\n", shown_now), shown_now
        process = owner.start(words[0], "wished", *words[1:])
        field, value = wanted
        until(lambda field=field, value=value: owner.batches().get(f"alice/wished/want/{field}") == value, "no wish comes", 30)
        owner.state("wished", **shown)
        out, _ = finished(process, 0)
        assert shown["state"] in out, out
    done = owner.hearth("cancel", "wished")
    assert done.returncode == 1 and "wished has ended, so there is nothing to cancel" in done.stderr, done
    owner.state("dated")
    process = owner.start("set", "dated", "--deadline", "2h", "--json")
    deadline = owner.written("alice/dated/want/deadline")
    owner.state("dated", deadline_ms=deadline)
    assert json.loads(finished(process, 0)[0])["deadline_ms"] == deadline


def test_an_unknown_batch_is_an_error_with_a_way_out(owner):
    owner.state("known-one")
    process = owner.start("pause", "known-on")
    owner.written("alice/known-on/want/run")
    owner.ended("known-on", "failed", {}, reason="unknown_batch", digest="")
    finished(process, 1, "alice has no batch known-on", "did you mean known-one?")
    done = owner.hearth("pause", "known-on")   # its owner has said so, and says it once
    assert done.returncode == 1 and "alice has no batch known-on" in done.stderr, done
    for words in ("status", "results", "redrive"):
        done = owner.hearth(words, "known-one", user="bob")
        assert done.returncode == 1 and "bob has no batch known-one" in done.stderr, done
        assert "a batch known-one belongs to alice" in done.stderr, done


def test_a_state_that_nobody_can_read_is_no_unknown_batch(owner):
    owner.put("hearth.batch.state", "alice/newer", json.dumps({"v": 2, "state": "running"}))
    done = owner.hearth("status", "newer")
    assert done.returncode == 1 and "the state of newer cannot be read: state: field 'v' is 2" in done.stderr, done


def test_a_wish_that_comes_too_late_says_so(owner):
    owner.state("late")
    process = owner.start("cancel", "late")
    owner.written("alice/late/want/run")
    owner.ended("late", "succeeded", {"ok": 10})
    finished(process, 1, "late has ended, so there is nothing to cancel: it ended: succeeded")


def test_list_has_the_batches_of_the_user(owner):
    owner.state("listed-runs", counts={"ok": 1, "error": 2, "pending": 3}, submitted_ms=1_795_860_999_000)
    owner.ended("listed-ended", "succeeded", {"ok": 1})
    owner.ended("listed-unknown", "failed", {}, reason="unknown_batch")
    owner.put("hearth.batch.state", "alice/unreadable", "no JSON")
    every = owner.hearth("list").stdout
    assert "listed-runs" in every and "listed-ended" in every and "unknown" not in every and "unreadable" not in every
    assert every.splitlines()[1].split()[:4] == ["listed-runs", "hello", "3/6", "2"], every
    running = json.loads(owner.hearth("list", "--running", "--json").stdout)
    assert "listed-runs" in {each["id"] for each in running} and "listed-ended" not in {each["id"] for each in running}
    assert owner.hearth("list", user="bob").stdout.count("\n") == 1
    owner.state("listed-labelled", counts={"pending": 1}, labels={"run": "nightly", "team": "shop"})
    labelled = owner.hearth("list", "--label", "run=nightly", "--label", "team=shop").stdout
    assert [line.split()[0] for line in labelled.splitlines()] == ["BATCH", "listed-labelled"], labelled
    assert owner.hearth("list", "--label", "run=nightly", "--label", "team=photos").stdout.count("\n") == 1
    assert "run=nightly, team=shop" in owner.hearth("status", "listed-labelled").stdout
    assert owner.hearth("list", "--label", "run").returncode == 2


def test_ps_shows_batches_that_run_below_what_is_warm(owner):
    def ps(*words, **more):   # dan's batches lie in the partition of alice's
        return subprocess.run(["hearth", "--user", "dan", "ps", *words], env={**owner.env, **more}, text=True, capture_output=True,
                              timeout=60)

    done = ps()
    assert done.returncode == 0 and "EXECUTOR" in done.stdout and "BATCH" not in done.stdout, done
    assert json.loads(ps("--json").stdout) == {"executors": [], "slots": [], "batches": []}
    owner.state("late", counts={"ok": 1, "error": 2, "pending": 3}, rate_per_min=120, submitted_ms=1_795_860_999_000, user="dan")
    owner.state("early", "paused", counts={"pending": 4}, submitted_ms=1_795_860_000_000, user="dan")
    owner.state("over", "ended", outcome="succeeded", counts={"ok": 1}, user="dan")
    owner.state("of-alice")
    done = ps()
    assert done.returncode == 0 and done.stdout.index("INSTANCE") < done.stdout.index("BATCH"), done
    rows = [line.split() for line in done.stdout[done.stdout.index("BATCH"):].splitlines()]
    assert [row[:5] for row in rows] == [["BATCH", "FUNCTION", "DONE", "FAILED", "RATE"], ["early", "hello", "0/4", "0", "-"],
                                         ["late", "hello", "3/6", "2", "2/s"]], done.stdout
    assert [row[-1] for row in rows[1:]] == ["paused", "running"], done.stdout
    told = json.loads(ps("--json").stdout)
    assert [(each["id"], each["state"], each["counts"]) for each in told["batches"]] == [
        ("early", "paused", {"pending": 4}), ("late", "running", {"ok": 1, "error": 2, "pending": 3})]
    # The brokers are away: what Redis has is there all the same.
    done = ps(HEARTH_BOOTSTRAP="127.0.0.1:1")
    assert done.returncode == 0 and "INSTANCE" in done.stdout and "BATCH" not in done.stdout, done
    assert "hearth: batches are not shown: kafka at 127.0.0.1:1" in done.stderr and "HEARTH_BOOTSTRAP" in done.stderr, done
    done = ps("--json", HEARTH_BOOTSTRAP="127.0.0.1:1")
    assert done.returncode == 0 and json.loads(done.stdout) == {"executors": [], "slots": [], "batches": None}, done


def test_a_terminal_has_one_line_with_a_bar(owner):
    owner.state("drawn", counts={"ok": 5, "pending": 5}, rate_per_min=600)
    ours, theirs = pty.openpty()
    process = owner.start("status", "drawn", "--watch", stderr=theirs)
    os.close(theirs)
    seen = b""
    while b"5/10" not in seen:
        seen += os.read(ours, 4096)
    owner.ended("drawn", "succeeded", {"ok": 10})
    assert process.wait(30) == 0
    assert b"\r\x1b[K" in seen and "drawn  [##########..........] running  5/10  0 failed  10/s".encode() in seen, seen
    os.close(ours)


def test_an_interruption_says_what_it_means(owner, items):
    process = owner.start("submit", "-", "--fn", "hello", "--id", "broken", stdin=subprocess.PIPE)
    until(lambda: "checking the standard input" in process.stderr.readline(), "it does not begin", 30)
    process.send_signal(signal.SIGINT)
    finished(process, 130, "nothing was submitted, and no batch is there")
    process = owner.start("submit", items, "--fn", "hello", "--id", "left", "--wait")
    take(owner, "left")
    until(lambda: "running" in process.stderr.readline(), "it does not wait", 30)
    process.send_signal(signal.SIGINT)
    finished(process, 130, "detached: the batch runs on; hearth --user alice batch status left --watch attaches again")
    kept = owner.batches()
    assert not [key for key in kept if key.startswith("alice/broken/") or key.startswith("alice/left/want")]
    process = owner.start("submit", items, "--fn", "hello", "--id", "left", "--wait")
    owner.ended("left", "succeeded", {"ok": 10}, digest=kept["alice/left/spec"]["digest"])
    finished(process, 0)


@pytest.mark.parametrize("content, words, code, complaint", [
    ("", "", 1, "has no items"),
    ("1\n{\n", "", 1, "items:2: no JSON"),
    ('{"id":"a","in":1}\n{"id":"b","in":1}\n{"id":"a","in":2}\n', "--envelope", 1, "items:3: its id stands in line 1 too"),
    ("1\n" + json.dumps("x" * (1 << 20)) + "\n", "", 1, "items:2: the item has 1048578 bytes; the limit is 1048576"),
    ("a,b\n1\n", "--format csv", 1, "items:2: the row has 1 fields; the header has 2"),
    ("1\n", "--fn helo", 1, "alice has no function helo"),
    ("1\n", "--fn helo", 1, "did you mean hello?"),
    ("1\n", "--version 3", 1, "not 3"),
    ("1\n", "--version 0", 2, "--version: version '0': it must be a positive number or newest"),
    ("1\n", "--on-complete nobody", 1, "alice has no function nobody"),
    ("1\n", "--on-complete topic:no.such", 1, "no topic no.such"),
    ("1\n", "--on-complete topic:hearth.usage", 2, "nothing goes to hearth.usage"),
    ("1\n", "--tolerate 200%", 2, "--tolerate: tolerance '200%'"),
    ("1\n", "--deadline 0s", 2, "--deadline: deadline 0s: it lies in the past"),
    ("1\n", "--deadline=-1h", 2, "it lies in the past"),
    ("1\n", "--deadline 8d", 2, "at most 7d, as items and results are kept no longer"),
    ("1\n", "--deadline soon", 2, "'soon' is no time span"),
    ("1\n", "--label team", 2, "--label: label 'team': it must be NAME=VALUE"),
    ("1\n", "--priority 101", 2, "--priority"),
    ("1\n", "--count 5", 2, "not both"),
    (None, "--count 0", 2, "--count"),
    (None, "--count 10000001", 2, "--count"),
    (None, "", 2, "FILE, or --count N"),
    ("1\n", "--id a/b", 2, "--id must be 1 to 96"),
    ("1\n", "--out x", 2, "so for --wait"),
    ("1\n", "--wait --out /no/such/folder/x", 1, "cannot write /no/such/folder/x"),
    ("1\n", "--bootstrap 127.0.0.1:1", 3, "kafka at 127.0.0.1:1"),
])
def test_bad_input_is_refused_with_its_reason(owner, tmp_path, content, words, code, complaint):
    file = []
    if content is not None:
        (tmp_path / "items").write_text(content)
        file = [tmp_path / "items"]
    words = words.split()
    function = [] if "--fn" in words else ["--fn", "hello"]
    done = owner.hearth("submit", *file, *function, *words)
    assert done.returncode == code and complaint in done.stderr, done


@pytest.mark.parametrize("words, code, complaint", [
    ("", 2, "a command is required: submit"),
    ("set x", 2, "say at least one of"),
    ("status a/b", 2, "a batch's id must be"),
    ("redrive x --status nonsense", 2, "expected pending, ok"),
    ("status x --bootstrap 127.0.0.1:1", 3, "kafka at 127.0.0.1:1"),
])
def test_a_senseless_line_is_refused(owner, words, code, complaint):
    done = owner.hearth(*words.split())
    assert done.returncode == code and complaint in done.stderr, done


def test_nobody_who_takes_it_is_waited_for_in_vain(owner):
    finished(owner.vain.pause, 4, "nobody has taken the batch", "no dispatcher is there", "the wish is written and stays")
    finished(owner.vain.submit, 4, "no dispatcher has taken it in 30 s", "no dispatcher is there",
             "hearth --user alice batch status vain --watch")
    assert {"alice/vain/spec", "alice/nobody-took-it/want/run"} <= owner.batches().keys()


def test_results_that_were_removed_are_counted(owner, tmp_path):
    """The last one: it takes the results of all away."""
    places = [owner.result("removed", i, "ok", i) for i in range(5)]
    owner.ended("removed", "succeeded", {"ok": 5}, results=[places[0], places[-1]])
    delete_records(owner.bootstrap, "hearth.batch.results", {HOME: places[2]})
    done = owner.hearth("results", "removed")
    assert done.returncode == 1 and "2 results of removed are not on hearth.batch.results any more" in done.stderr, done
    assert [json.loads(line) for line in done.stdout.splitlines()[1:3]] == [
        {"i": 1, **NEVER_RAN, "status": "ok", "error_message": "its result is not there any more"},
        {"i": 2, "id": None, "status": "ok", "out": 2}]
    kafka = AdminClient({"bootstrap.servers": owner.bootstrap})
    for deleted in kafka.delete_topics(["hearth.batch.results"]).values():
        deleted.result(20)
    until(lambda: "hearth.batch.results" not in kafka.list_topics(timeout=20).topics, "the topic stays", 30)
    out = tmp_path / "out.jsonl"
    done = owner.hearth("results", "removed", "--out", out)
    assert done.returncode == 1 and "no topic hearth.batch.results" in done.stderr, done
    assert "5 items of it have ended; their results were on that topic" in done.stderr and list(tmp_path.iterdir()) == []
    assert owner.hearth("status", "removed").returncode == 0
