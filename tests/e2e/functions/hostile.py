"""Functions that behave badly, each in its own way; and one that behaves well, as a witness."""

import os
import sys
import time

COUNT = 0


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


def nothing(event, context):
    return None


def raises(event, context):
    raise ValueError("on purpose")


def large(event, context):
    return "y" * (2 << 20)


def waits(event, context):
    time.sleep(0.3)
    return "waited"
