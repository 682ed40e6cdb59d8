"""Functions that behave badly, each in its own way; and some that behave well, as witnesses."""

import os
import sys
import time
import uuid

COUNT = 0
NONCE = uuid.uuid4().hex  # of the container


def witness(event, context):
    global COUNT
    COUNT += 1
    return {"count": COUNT, "event": event if not isinstance(event, bytes) else event.decode(), "id": context.invocation_id}


def prints(event, context):
    block = "x" * (1 << 20)
    for _ in range(64):
        sys.stdout.write(block)
    print("\nthe end")
    return "printed"


def forks(event, context):
    while True:
        os.fork()


def eats(event, context):
    hoard = []
    while True:
        hoard.append(bytearray(1 << 20))


def sleeps(event, context):
    time.sleep(3600)


def exits(event, context):
    os._exit(137)


def denies(event, context):
    """Says that it took no time."""
    began = time.monotonic_ns()
    time.sleep(0.5)
    time.monotonic_ns = lambda: began
    return "no time"


def nothing(event, context):
    return None


def raises(event, context):
    raise ValueError("on purpose")


def forges(event, context):
    line = f"\n2026-01-01T00:00:00.000000+0000 info dispatcher forged {event.decode() if isinstance(event, bytes) else event} \x1b[31m"
    raise type("Error" + line, (Exception,), {})("message" + line)


def large(event, context):
    return "y" * (2 << 20)


def waits(event, context):
    time.sleep(0.3)
    return "waited"


def holds(event, context):
    """Runs as long as it is told, and counts the runs of its container."""
    global COUNT
    COUNT += 1
    time.sleep(event.get("ms", 0) / 1000)
    return {"count": COUNT, "nonce": NONCE, "attempt": context.attempt}


def spins(event, context):
    """Counts as long as it is told."""
    end, rounds = time.monotonic() + event["ms"] / 1000, 0
    while time.monotonic() < end:
        rounds += 1
    return {"rounds": rounds}
