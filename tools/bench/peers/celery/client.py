"""Keeps so many tasks under way, each waited for by a thread. python3 client.py SECONDS IN_FLIGHT"""

import itertools
import json
import math
import sys
import threading
import time

from tasks import noop


def main(seconds, in_flight):
    numbers, took = itertools.count(), []

    def line():
        while (began := time.monotonic()) < end:
            noop.delay(f"load-{next(numbers)}").get(timeout=60)
            took.append((time.monotonic() - began) * 1000)

    start = time.monotonic()
    end = start + seconds
    threads = [threading.Thread(target=line) for _ in range(in_flight)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.monotonic() - start
    took.sort()
    at = lambda share: took[math.ceil(share * len(took)) - 1]  # noqa: E731
    print(json.dumps({"per_second": len(took) / spent, "p50_ms": at(0.5), "p99_ms": at(0.99)}))


main(float(sys.argv[1]), int(sys.argv[2]))
