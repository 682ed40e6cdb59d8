"""A mixed load of many users on real machines, for the night: how warm it stays, and that nothing is lost."""

import collections
import json
import os
import random
import statistics
import time

import pytest
from client import Client, new_id
from conftest import deploy, running_stack
from support import metric, until

pytestmark = pytest.mark.nightly

USERS = int(os.environ.get("HEARTH_LOAD_USERS", "12"))        # that come all the time, unevenly often
LATECOMERS = int(os.environ.get("HEARTH_LOAD_LATECOMERS", "6"))   # whose first request comes in the middle
SECONDS = int(os.environ.get("HEARTH_LOAD_SECONDS", "180"))
RATE = float(os.environ.get("HEARTH_LOAD_RATE", "8"))         # arrivals a second; they do not wait for answers
SEED = int(os.environ.get("HEARTH_LOAD_SEED", "1"))
FUNCTIONS = ["witness", "holds"]
TOPICS = ["hearth.invoke.rt", "hearth.invoke.std", "hearth.invoke.std", "hearth.invoke.batch"]
MACHINE_MIB = 512
POOL = 2
LEAST_WARM = 0.95


@pytest.fixture
def roomy():
    """A stack with memory for a machine of each user beside the pool."""
    memory = (USERS + LATECOMERS + POOL + 2) * MACHINE_MIB
    with running_stack(HEARTH_MEMORY_MIB=str(memory), HEARTH_POOL_MIN=str(POOL)) as stack:
        yield stack, Client(stack.env()["HEARTH_BOOTSTRAP"])


def send(client, random_source, user, function):
    invocation = new_id()
    payload = {"ms": random_source.choice([0, 0, 0, 20, 100])} if function == "holds" else {"n": 1}
    client.producer.produce(random_source.choice(TOPICS), key=user.encode(), headers={"content-type": "application/json"},
                            value=json.dumps({"id": invocation, "fn": function, "user": user, "in": payload}).encode())
    client.producer.poll(0)
    return invocation


def test_a_mixed_load_stays_warm_and_loses_nothing(roomy):
    stack, client = roomy
    random_source = random.Random(SEED)
    regulars = [f"regular{n}" for n in range(USERS)]
    latecomers = [f"latecomer{n}" for n in range(LATECOMERS)]
    for user in regulars + latecomers:
        for function in FUNCTIONS:
            deploy(stack, function, user, attempts=3, timeout_ms=20000)
    for user in regulars:   # warm-up: each function of each regular has run
        for function in FUNCTIONS:
            client.reply(send(client, random_source, user, function), deadline_s=300)
    executor = stack.env()["HEARTH_EXECUTOR_HTTP"]
    until(lambda: metric(executor, "hearth_executor_pool", kind="ready") >= POOL, "the pool does not fill")

    weights = [1 / (n + 1) for n in range(USERS)]
    arrivals = {SECONDS * (n + 1) / (LATECOMERS + 1): user for n, user in enumerate(latecomers)}
    sent, present, begin, at = [], list(zip(regulars, weights)), time.monotonic(), 0.0
    while at < SECONDS:
        at += random_source.expovariate(RATE)
        time.sleep(max(0.0, begin + at - time.monotonic()))
        for due in [due for due in arrivals if due <= at]:
            present.append((arrivals.pop(due), 1 / USERS))
            sent.append(send(client, random_source, present[-1][0], "witness"))
        user = random_source.choices([name for name, _ in present], [weight for _, weight in present])[0]
        sent.append(send(client, random_source, user, random_source.choice(FUNCTIONS)))
    assert client.producer.flush(60) == 0

    answers = {}
    for invocation in sent:
        record = client.reply(invocation, deadline_s=300)
        assert record.status == "ok", record
        answers[invocation] = record.json()
    seen = collections.Counter(record.headers.get("hearth-id") for record in client.seen["hearth.reply"])
    assert all(seen[invocation] == 1 for invocation in sent)
    owners = collections.defaultdict(set)
    for answer in answers.values():
        owners[answer["instance"]].add(answer["user"])
    assert all(len(users) == 1 for users in owners.values()), owners

    paths = collections.Counter(answer["start_path"] for answer in answers.values())
    print(f"seed {SEED}: {len(sent)} invocations of {len(present)} users in {SECONDS} s, {len(owners)} machines")
    for path, count in paths.most_common():
        waits = sorted((each["started_us"] - each["received_us"]) / 1000 for each in answers.values() if each["start_path"] == path)
        print(f"  {path:<10} {count:>6} {100 * count / len(sent):6.2f} %   received to first instruction: "
              f"p50 {statistics.median(waits):.1f} ms, p99 {waits[int(0.99 * (len(waits) - 1))]:.1f} ms")
    assert paths["container"] >= LEAST_WARM * len(sent), paths
    assert paths["boot"] == 0, paths
    assert metric(stack.env()["HEARTH_DISPATCHER_HTTP"], "hearth_dispatcher_conservation_difference") == 0
