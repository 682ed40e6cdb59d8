"""What producers send that nobody had in mind: large and compressed records, null, fields given twice, foreign ids, times
that are not known, names that forge lines. Nothing of it stops a partition, and each gets the answer that it can get."""

import json

import msgpack
from confluent_kafka import Producer

from client import new_id
from conftest import deploy

GIANT = 6 << 20
TOPIC = 4 << 20   # what a topic takes of one record


def letter(client, invocation):
    return client.find("hearth.dead-letter", lambda each: each.headers.get("hearth-id") == invocation)


def test_a_record_that_is_too_large_for_every_topic_is_answered_and_stops_nothing(client):
    compressing = Producer({"bootstrap.servers": client.bootstrap, "compression.type": "zstd", "message.max.bytes": 20_000_000, "log_level": 0})
    large = [new_id() for _ in range(3)]
    for invocation in large:
        headers = {"hearth-fn": "witness", "hearth-user": "alice", "hearth-id": invocation}
        compressing.produce("hearth.invoke.std", value=b"a" * GIANT, key=b"alice", headers=headers)
    as_map = new_id()
    fields = {"id": as_map, "fn": "witness", "user": "alice", "in": "a" * GIANT}
    compressing.produce("hearth.invoke.std", value=json.dumps(fields).encode(), key=b"alice", headers={"content-type": "application/json"})
    packed = new_id()
    fields = {"in": b"a" * GIANT, "id": packed, "fn": "witness", "user": "alice"}
    compressing.produce("hearth.invoke.std", value=msgpack.packb(fields), key=b"alice")
    assert compressing.flush(30) == 0
    after = client.request("witness", b"1")
    for invocation in [*large, as_map, packed]:
        assert client.reply(invocation).status == "rejected"
    assert client.reply(after).status == "ok"
    kept = letter(client, large[0])
    assert kept.headers.get("hearth-cut-value-bytes", str(len(kept.value))) == str(GIANT)


def test_a_record_that_fills_its_topic_is_answered(client):
    invocation = new_id()
    headers = {"hearth-fn": "witness", "hearth-user": "alice", "hearth-id": invocation}
    producer = Producer({"bootstrap.servers": client.bootstrap, "message.max.bytes": TOPIC, "log_level": 0})
    producer.produce("hearth.invoke.std", value=b"a" * (TOPIC - 400), key=b"alice", headers=headers)
    assert producer.flush(30) == 0
    assert client.reply(invocation).status == "rejected"
    assert letter(client, invocation).headers["hearth-dead-reason"] == "too_large"


def test_null_and_fields_given_twice(client):
    by_headers, by_map, by_event = new_id(), new_id(), new_id()
    twice = [("hearth-fn", "no-such"), ("hearth-fn", "witness"), ("hearth-user", "alice"), ("hearth-id", by_headers),
             ("hearth-timeout-ms", "1"), ("hearth-timeout-ms", "30000"), ("hearth-expires", None), ("traceparent", "x" * 300)]
    client.send(b'"twice"', twice)
    nulls = {"reply_to": None, "order_key": None, "expires": None, "timeout_ms": None, "traceparent": None, "content_type": None}
    client.send(json.dumps({"id": by_map, "fn": "witness", "user": "alice", "in": 1, **nulls}).encode())
    event = {"specversion": "1.0", "id": by_event, "source": "/x", "type": "hearth.invoke.witness", "hearthuser": "alice",
             "datacontenttype": None, "partitionkey": None, "hearthreplyto": None, "data": 2}
    client.send(json.dumps(event).encode(), {"content-type": "Application/CloudEvents+JSON; charset=UTF-8"})
    assert client.reply(by_headers).json()["event"] == "twice"
    assert client.reply(by_map).json()["out"]["event"] == 1
    assert client.reply(by_event).json()["data"]["event"] == 2


def test_events_with_ids_of_other_systems_run(stack, client):
    for foreign in (f"partition:1/offset:{new_id()}", f"urn:uuid:{new_id()}", f"{new_id()} with spaces/ä"):
        client.send(b'"x"', {"ce_specversion": "1.0", "ce_id": foreign, "ce_source": "/test", "ce_type": "hearth.invoke.witness",
                             "ce_hearthuser": "alice", "content-type": "application/json"})
        record = client.find("hearth.reply", lambda each, wanted=foreign: each.headers.get("ce_id") == wanted)
        assert record.headers["ce_hearthstatus"] == "ok" and record.json()["event"] == "x"
        told = stack.run(["hearth", "--user", "alice", "why", foreign])
        assert told.returncode == 0 and "placed on" in told.stdout, told


def test_a_dead_letter_is_the_record_as_it_was_and_may_be_written_back(client):
    marker = new_id()
    client.send(None, [("marker", marker), ("null", None), ("empty", "")], key=None)
    first = client.find("hearth.dead-letter", lambda each: each.headers.get("marker") == marker)
    assert (first.null_key, first.null_value) == (True, True)
    assert ("null", None) in first.raw_headers and ("empty", b"") in first.raw_headers
    again = new_id()
    headers = [(name, value) for name, value in first.raw_headers if name != "marker"] + [("marker", again)]
    client.send(None, headers, key=None)
    second = client.find("hearth.dead-letter", lambda each: each.headers.get("marker") == again)
    assert len(second.raw_headers) == len(first.raw_headers)


def test_names_of_others_forge_no_line_of_a_log(stack, client):
    marker = new_id()
    forged = f"{marker}\n2026-01-01T00:00:00.000000+0000 info dispatcher forged {marker} \x1b[31m"
    for name in ("hearth-id", "hearth-user", "hearth-fn", "hearth-reply-to"):
        headers = {"hearth-fn": "witness", "hearth-user": "alice", "hearth-id": new_id(), name: forged}
        client.send(b"1", headers)
    deploy(stack, "forges", name="forges")
    failed = client.reply(client.request("forges", marker.encode()))
    assert failed.status == "error"
    shown = stack.run(["hearth", "--user", "alice", "invoke", "forges", "--data", json.dumps(marker)])
    assert shown.returncode == 1 and "\x1b" not in shown.stderr and f"forged {marker}" in shown.stderr
    assert not any(line.startswith("2026-01-01T") for line in shown.stderr.splitlines())
    for log in [*(stack.folder / "logs").glob("dispatcher*.log"), *(stack.folder / "logs").glob("executor*.log")]:
        text = log.read_text(errors="surrogateescape")
        assert "\x1b" not in text, log
        assert not any(line.startswith("2026-01-01T") and marker in line for line in text.splitlines()), log
