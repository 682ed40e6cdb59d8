# Loaded from its source in each container before it is anybody's, as a function will be (zygote.py, rehearse).
import json
import os


class Counter:
    def __init__(self, start=0):
        self.value = start

    def add(self, step):
        self.value += step
        return self.value


def handler(event, context):
    counter = Counter()
    names = {name: counter.add(1) for name in sorted(event or {})}
    return {"names": names, "cwd": os.getcwd(), "text": json.dumps(names)}
