"""The whole path, from outside: foreign clients, every form of a request, and what bad input gets."""

import json
import os
import pathlib
import re
import signal
import time
import urllib.request

import msgpack
import pytest

from client import new_id
from conftest import ROOT, deploy
from support import metric, until


def metrics(stack, which="DISPATCHER"):
    with urllib.request.urlopen(f"http://{stack.env()[f'HEARTH_{which}_HTTP']}/metrics", timeout=5) as answer:
        return answer.read().decode()


def test_the_first_start_of_a_user_takes_from_the_pool_and_the_next_finds_its_container(stack, client):
    deploy(stack, "witness", user="bob")
    stack.run("hearth --user bob functions")
    first = client.reply(client.request("witness", b'{"n": 1}', user="bob"))
    assert first.status == "ok" and first.path in ("pool", "restore", "boot"), first
    second = client.reply(client.request("witness", b'{"n": 2}', user="bob"))
    assert (second.status, second.path) == ("ok", "container"), second
    assert first.json()["count"] == 1 and second.json()["count"] == 2
    assert first.headers["hearth-instance"] == second.headers["hearth-instance"]
    stamps = [int(second.headers[f"hearth-{name}-us"]) for name in ("received", "placed", "leased", "started", "ended")]
    assert stamps == sorted(stamps)


def test_two_users_never_share_a_machine(stack, client):
    alice = client.reply(client.request("witness"))
    bob = client.reply(client.request("witness", user="bob"))
    assert alice.headers["hearth-instance"] != bob.headers["hearth-instance"]


def test_kcat_is_enough(stack, client):
    environment = stack.env()
    invocation = new_id()
    words = ["kcat", "-P", "-b", environment["HEARTH_BOOTSTRAP"], "-t", "hearth.invoke.rt", "-k", "alice"]
    words += ["-H", "hearth-fn=witness", "-H", "hearth-user=alice", "-H", f"hearth-id={invocation}"]
    assert stack.run(words, input='"from kcat"').returncode == 0
    assert client.reply(invocation).json()["event"] == "from kcat"


def test_apaches_own_client_in_java_speaks_two_forms(stack, client):
    libraries = re.search(r"-cp\0([^\0]+)\0", (pathlib.Path("/proc") / str(stack.pids()["kafka"]) / "cmdline").read_text())[1]
    program = ROOT / "tests" / "e2e" / "foreign" / "Client.java"
    headers_id, event_id = new_id(), new_id()
    done = stack.run(["java", "-cp", libraries, str(program), stack.env()["HEARTH_BOOTSTRAP"], headers_id, event_id])
    assert done.returncode == 0, done.stderr
    told = dict(line.split("\t", 1) for line in done.stdout.splitlines())
    for invocation, event in ((headers_id, "from java"), (event_id, "an event from java")):
        status, value = told[invocation].split("\t")
        answer = json.loads(value)
        assert (status, answer["event"], answer["id"]) == ("ok", event, invocation), told


def test_a_msgpack_map(client):
    invocation = new_id()
    client.send(msgpack.packb({"v": 1, "id": invocation, "fn": "witness", "user": "alice", "in": b'"packed"'}))
    record = client.reply(invocation)
    answer = msgpack.unpackb(record.value)
    assert answer["status"] == "ok" and json.loads(answer["out"])["event"] == "packed"


def test_a_json_map(client):
    invocation = new_id()
    client.send(json.dumps({"id": invocation, "fn": "witness", "user": "alice", "in": {"a": [1]}}).encode(),
                {"content-type": "application/json"})
    answer = client.reply(invocation).json()
    assert answer["status"] == "ok" and answer["out"]["event"] == {"a": [1]} and answer["start_path"] != "none"


def test_cloudevents_in_both_modes(client):
    binary, structured = new_id(), new_id()
    client.send(b'"binary"', {"ce_specversion": "1.0", "ce_id": binary, "ce_source": "/test", "ce_type": "hearth.invoke.witness",
                              "ce_hearthuser": "alice", "content-type": "application/json"})
    record = client.reply(binary)
    assert record.headers["ce_type"] == "hearth.result" and record.json()["event"] == "binary"
    event = {"specversion": "1.0", "id": structured, "source": "/test", "type": "hearth.invoke.witness",
             "hearthuser": "alice", "data": "structured"}
    client.send(json.dumps(event).encode(), {"content-type": "application/cloudevents+json"})
    answer = client.reply(structured).json()
    assert answer["hearthstatus"] == "ok" and answer["data"]["event"] == "structured"


def test_hearth_invoke_prints_the_output_and_says_how(stack, client):
    done = stack.run("hearth --user alice invoke witness --data 5")
    assert done.returncode == 0 and json.loads(done.stdout)["event"] == 5
    assert "status ok" in done.stderr and "path container" in done.stderr
    failed = stack.run("hearth --user alice invoke raises --data 5")
    assert failed.returncode == 1 and "ValueError: on purpose" in failed.stderr
    assert stack.run("hearth --user alice invoke").returncode == 2
    listed = stack.run("hearth --user alice ps")
    assert listed.returncode == 0 and "witness" in listed.stdout


@pytest.mark.parametrize("value, headers, reason", [
    (b"rubbish", {}, "not a request"),
    (b"", {}, "not a request"),
    (b'{"fn": "witness", "user": 7}', {}, "'user' must be"),
    (b'{"user": "alice"}', {}, "'fn' is absent"),
    (b"\x81\xa1a" * 100 + b"\x01", {}, "msgpack"),
    (b"\xdf\xff\xff\xff\xff", {}, "msgpack"),
    (b"x", {"hearth-fn": "witness", "hearth-user": "../etc"}, "'user' must be"),
    (b"x", {"hearth-fn": "witness", "hearth-user": "alice", "hearth-timeout-ms": "-1"}, "timeout"),
    (b"x", {"hearth-fn": "witness", "hearth-user": "alice", "hearth-expires": "soon"}, "expires"),
    (b"{" * 5000, {"content-type": "application/json"}, ""),
])
def test_what_is_not_a_request_is_a_dead_letter_with_its_bytes(client, value, headers, reason):
    marker = new_id()
    client.send(value, {**headers, "marker": marker})
    record = client.find("hearth.dead-letter", lambda each: each.headers.get("marker") == marker)
    assert record.value == value
    assert reason in record.headers["hearth-dead-error"] + record.headers["hearth-dead-reason"], record


def test_refusals_are_results(client):
    unknown = client.reply(client.request("no-such-function"))
    assert (unknown.status, unknown.headers["hearth-error-type"]) == ("rejected", "unknown_function")
    other = client.reply(client.request("witness", user="mallory"))
    assert other.status == "rejected"
    expired = client.reply(client.request("witness", expires=int(time.time() * 1000) - 1000))
    assert expired.status == "expired"
    large = client.reply(client.request("witness", b"z" * ((1 << 20) + 1)))
    assert large.status == "rejected"


def test_a_forbidden_reply_topic_is_a_dead_letter(client):
    invocation = client.request("witness", reply_to="hearth.invoke.std")
    record = client.find("hearth.dead-letter", lambda each: each.headers.get("hearth-id") == invocation)
    assert "reply" in record.headers["hearth-dead-reason"]


def test_a_reply_topic_that_does_not_exist_is_undeliverable(client):
    invocation = client.request("witness", reply_to="reply.missing")
    record = client.reply(invocation, topic="hearth.undeliverable")
    assert record.status == "ok" and record.json()["id"] == invocation


@pytest.mark.parametrize("function, status, kind", [
    ("prints", "ok", None),
    ("forks", ("error", "timeout", "oom"), None),
    ("eats", "oom", None),
    ("sleeps", "timeout", None),
    ("exits", "error", None),
    ("nothing", "ok", None),
    ("raises", "error", "ValueError"),
    ("large", "error", "result_too_large"),
])
def test_functions_that_behave_badly_get_a_clear_end_and_harm_nobody(client, function, status, kind):
    record = client.reply(client.request(function, b"1"))
    assert record.status in status if isinstance(status, tuple) else record.status == status, record
    if kind:
        assert record.headers["hearth-error-type"] == kind
    assert client.reply(client.request("witness", b"1")).status == "ok"


def test_a_function_that_sets_its_clock_is_charged_for_the_time_it_took(stack, client):
    deploy(stack, "denies")
    record = client.reply(client.request("denies", b"1"))
    assert record.status == "ok"
    assert int(record.headers["hearth-billed-ms"]) >= 500, record.headers
    began, ended = (int(record.headers[f"hearth-{name}-us"]) for name in ("started", "ended"))
    assert 0 <= ended - began


def test_failed_tries_are_repeated_and_end_in_a_result_and_a_dead_letter(stack, client):
    deploy(stack, "raises", attempts=2, name="raises-twice")
    invocation = client.request("raises-twice", b"payload")
    record = client.reply(invocation)
    assert record.status == "error" and record.headers["hearth-attempt"] == "2"
    letter = client.find("hearth.dead-letter", lambda each: each.headers.get("hearth-id") == invocation)
    assert letter.value == b"payload"


def test_a_killed_dispatcher_loses_nothing_and_runs_nothing_twice(stack, client):
    sent = [client.request("waits", b"1") for _ in range(6)]
    os.kill(stack.pids()["dispatcher"], signal.SIGKILL)
    stack.up()
    for invocation in sent:
        assert client.reply(invocation).status == "ok"
    seen = [record.headers["hearth-id"] for record in client.seen["hearth.reply"]]
    assert all(seen.count(invocation) == 1 for invocation in sent)


def test_a_dispatcher_killed_in_the_middle_of_one_long_run_lets_it_run_once(stack, client):
    deploy(stack, "holds", "loner", attempts=3, timeout_ms=30000)
    warm = client.reply(client.request("holds", b"{}", user="loner")).json()
    executor = stack.env()["HEARTH_EXECUTOR_HTTP"]
    long_run = client.request("holds", b'{"ms": 5000}', user="loner")
    until(lambda: metric(executor, "hearth_executor_held", what="running") == 1, "the long run does not start")
    os.kill(stack.pids()["dispatcher"], signal.SIGKILL)
    stack.up()
    record = client.reply(long_run)
    assert record.status == "ok" and record.headers["hearth-attempt"] == "1", record
    # The container counts its runs: what it was called before, the long run, and this one.
    after = client.reply(client.request("holds", b"{}", user="loner"))
    counted = [warm, record.json(), after.json()]
    assert len({each["nonce"] for each in counted}) == 1 and after.path == "container"
    assert [each["count"] for each in counted] == [1, 2, 3]
    assert [each.headers.get("hearth-id") for each in client.seen["hearth.reply"]].count(long_run) == 1


def test_redis_away_costs_nothing(stack, client):
    os.kill(stack.pids()["redis"], signal.SIGKILL)
    assert client.reply(client.request("witness", b"1")).status == "ok"
    stack.up()
    assert client.reply(client.request("witness", b"1")).status == "ok"
    end = time.monotonic() + 15
    while "witness" not in stack.run("hearth --user alice ps").stdout:
        assert time.monotonic() < end, "the directory did not heal"


def test_nothing_is_lost_in_the_books(stack, client):
    assert "hearth_dispatcher_conservation_difference 0" in metrics(stack)
    assert "hearth_executor_attempts_total" in metrics(stack, "EXECUTOR")


@pytest.mark.parametrize("daemon", ["hearth-dispatcher", "hearth-executor"])
@pytest.mark.parametrize("text, complaint", [
    ("id = 7\n", ":1: 'id' must be a string"),
    ('id = "a"\nunknown = 1\n', ":2: unknown key 'unknown'"),
    ('id = "a\n', ":1:"),
])
def test_a_bad_configuration_names_the_line_and_exits_2(stack, client, tmp_path, daemon, text, complaint):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    done = stack.run([daemon, "--config", str(path)])
    assert done.returncode == 2 and complaint in done.stderr, done.stderr


@pytest.mark.parametrize("daemon", ["hearth-dispatcher", "hearth-executor"])
def test_a_configuration_that_is_not_there_is_named_and_exits_2(stack, tmp_path, daemon):
    path = tmp_path / "absent.toml"
    done = stack.run([daemon, "--config", str(path)])
    assert done.returncode == 2 and str(path) in done.stderr, done.stderr
    assert stack.run([daemon]).returncode == 2


def test_two_archives_of_50_mib_reach_one_machine_together(stack, client, tmp_path):
    for name in ("heavy-a", "heavy-b"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "app.py").write_text("def handler(event, context):\n    return 'here'\n")
        (folder / "ballast").write_bytes(os.urandom(50 << 20))
        done = stack.run(["hearth", "--user", "heavy", "deploy", name, "--runtime", "python3", "--handler", "app.handler",
                          "--timeout-ms", "30000", str(folder)])
        assert done.returncode == 0, done.stderr
    sent = [client.request(name, b"1", user="heavy") for name in ("heavy-a", "heavy-b")]
    replies = [client.reply(invocation) for invocation in sent]
    assert [reply.status for reply in replies] == ["ok", "ok"], replies
    assert len({reply.headers["hearth-instance"] for reply in replies}) == 1
