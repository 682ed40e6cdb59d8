"""hearth why: how an invocation got its place, from the reply and from the dispatcher's decision log."""

import json
import os
import re
import stat
import time
import tomllib

from client import new_id
from conftest import deploy
from support import get

HEARTH = ["hearth", "--user", "alice"]


def why(stack, *words):
    return stack.run([*HEARTH, *words])


def decisions_socket(stack):
    return tomllib.loads((stack.folder / "etc" / "dispatcher.toml").read_text())["decisions"].removeprefix("unix:")


def words_of(reply):
    return dict(word.split("=", 1) for word in reply.headers["hearth-why"].split(" "))


def warm(client):
    """An invocation that found an idle container, and whose dispatcher expected one: it hears of a container after the
    reply of the run before, and the container is idle only after a check that follows that reply."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        invocation = client.request("witness", b"{}")
        reply = client.reply(invocation)
        words = words_of(reply)
        if words["expected"] == "container" and words["because"] == "idle_container":
            return invocation, reply
    raise AssertionError(f"no idle container was ever found: {words}")


def test_a_warm_invocation_is_explained_from_both_sources(stack, client):
    invocation, reply = warm(client)
    words = words_of(reply)
    assert len(reply.headers["hearth-why"]) <= 512
    assert (reply.path, words["rung"]) == ("container", "container")
    assert {"decided", "of", "fit", "queue_us", "lease_us"} <= words.keys()

    done = why(stack, "--json", "why", invocation)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["reply"]["why"] == words
    decision = found["decision"]
    assert (decision["id"], decision["complete"], decision["status"]) == (invocation, True, "ok")
    assert decision["start_path"] == "container"
    placed = decision["steps"][0]
    assert placed["what"] == "placed" and placed["executor"] == reply.headers["hearth-executor"]
    assert any(each["executor"] == placed["executor"] and each["path"] == "container" for each in placed["candidates"])

    done = why(stack, "why", invocation)
    assert done.returncode == 0, done.stderr
    for text in ("decided by", "EXECUTOR", "received → placed", "because", "idle_container", "status ok"):
        assert text in done.stdout, done.stdout


def test_failed_tries_are_part_of_the_story(stack, client):
    deploy(stack, "raises", attempts=2, name="raises-twice")
    invocation = client.request("raises-twice", b"{}")
    reply = client.reply(invocation)
    assert reply.status == "error"
    assert "tries=1" in reply.headers["hearth-why"].split(" ")
    steps = json.loads(why(stack, "--json", "why", invocation).stdout)["decision"]["steps"]
    assert [step["what"] for step in steps if step["what"] != "dead-lettered"] == ["placed", "retried", "placed"]


def test_a_refusal_is_explained(stack, client):
    invocation = client.request("no-such-function", b"{}")
    client.reply(invocation)
    done = why(stack, "why", invocation)
    assert done.returncode == 0 and "unknown_function" in done.stdout, done.stdout


def test_every_form_of_a_reply_carries_it(stack, client):
    invocation = new_id()
    client.send(json.dumps({"fn": "witness", "user": "alice", "id": invocation, "in": {}}).encode())
    assert "decided=" in client.reply(invocation).json()["why"]


def test_what_is_not_known_says_what_was_looked_at(stack, client):
    done = why(stack, "why", "never-sent")
    assert done.returncode == 1
    assert "dispatcher-1 does not remember it" in done.stderr
    assert re.search(r"hearth\.reply holds no reply of the last 3600 s \(\d+ records read\)", done.stderr)
    assert json.loads(why(stack, "--json", "why", "never-sent").stdout)["decision"] is None
    for odd in ("../../metrics", "partition:1/offset:24", "a b", "ä"):
        done = why(stack, "why", odd)
        assert (done.returncode, "dispatcher-1 does not remember it" in done.stderr) == (1, True), done.stderr
    done = why(stack, "why", "a\tb")
    assert (done.returncode, "an id is a text of" in done.stderr) == (2, True), done.stderr
    done = stack.run([*HEARTH, "--bootstrap", "127.0.0.1:1", "--redis", "unix:/no/such/socket", "why", "never-sent",
                      "--dispatcher", "unix:/no/such/decisions"])
    assert done.returncode == 3
    for text in ("unix:/no/such/socket", "unix:/no/such/decisions is asked on its own host", "kafka at 127.0.0.1:1"):
        assert text in done.stderr, done.stderr


def test_decisions_are_not_for_whoever_reaches_the_status_port(stack, client):
    invocation = client.request("witness", b"{}")
    client.reply(invocation)
    assert get(stack.env()["HEARTH_DISPATCHER_HTTP"], f"/decisions/{invocation}")[0] == 404
    assert stat.S_IMODE(os.stat(decisions_socket(stack)).st_mode) == 0o600


def test_one_source_is_enough(stack, client):
    invocation = client.request("witness", b"{}")
    client.reply(invocation)
    away = stack.run([*HEARTH, "--bootstrap", "127.0.0.1:1", "why", invocation])
    assert away.returncode == 0 and "decided by" in away.stdout, away.stderr
    reply_only = stack.run([*HEARTH, "--redis", "unix:/no/such/socket", "--json", "why", invocation, "--dispatcher", "unix:/no/such/decisions"])
    assert reply_only.returncode == 0, reply_only.stderr
    assert json.loads(reply_only.stdout)["reply"]["why"]["rung"]
