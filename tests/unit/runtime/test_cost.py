"""Input of any shape, as large as it may be, reaches a function in a time that grows with its size, and goes back so."""
import importlib.util
import json
import time
from pathlib import Path

import pytest

ZYGOTE = Path(__file__).resolve().parents[3] / "guest/runtime/python3/zygote.py"
SIZE = 1 << 20
# Against a plain parse of small objects that is as large. The dearest shape takes 7 to 10 of them; what grows with the square takes hundreds.
MOST_FLOORS = 25


def fill(head, part, tail):
    return head + part * ((SIZE - len(head) - len(tail)) // len(part)) + tail


SHAPES = {
    "objects": fill("[0", ",{}", "]"),
    "arrays in arrays": fill("[0", "," + "[" * 25 + "]" * 25, "]"),
    "nested without end": "[" * SIZE,
    "nested to the end": "[" * (SIZE // 2) + "]" * (SIZE // 2),
    "nested objects": fill("", '{"a":', ""),
    "one long integer": "7" * SIZE,
    "one negative integer": "-" + "7" * (SIZE - 1),
    "one long fraction": "0." + "3" * (SIZE - 2),
    "one small fraction": "0." + "0" * (SIZE - 3) + "1",
    "one long exponent": "1e" + "9" * (SIZE - 2),
    "long integers": fill("[0", "," + "7" * 4000, "]"),
    "escapes": fill('"', "\\ud83d\\ude00", '"'),
    "control characters": fill('"', "\\u0001", '"'),
    "many keys": "{" + ",".join(f'"{n}":0' for n in range(SIZE // 11)) + "}",
    "keys that begin alike": "{" + ",".join(f'"{"k" * 500}{n}":0' for n in range(SIZE // 512)) + "}",
    "one key many times": fill('{"k":0', ',"k":0', "}"),
    "space before and after": " " * (SIZE // 2) + "1" + " " * (SIZE // 2 - 1),
    "not closed": fill("[0", ",{}", ""),
    "no text": "\x00" * SIZE,
}


@pytest.fixture(scope="module")
def zygote():
    spec = importlib.util.spec_from_file_location("zygote", ZYGOTE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def seconds(act, times):
    """The least of some: what comes between costs more, never less."""
    least = None
    for _ in range(times):
        began = time.thread_time()
        act()
        spent = time.thread_time() - began
        least = spent if least is None else min(least, spent)
    return least


@pytest.fixture(scope="module")
def floor():
    return seconds(lambda: json.loads(SHAPES["objects"]), 5)


@pytest.mark.parametrize("shape", SHAPES)
def test_input_and_output_of_any_shape(zygote, floor, shape):
    data = SHAPES[shape].encode()
    assert seconds(lambda: zygote.decode_event(data), 3) < MOST_FLOORS * floor
    event = zygote.decode_event(data)

    def give_back():
        try:
            zygote.encode_output(event)
        except ValueError:  # a number without end: JSON has none, and the function fails
            assert event == float("inf")

    assert seconds(give_back, 3) < MOST_FLOORS * floor


def test_bytes_that_are_no_text_and_no_input_at_all(zygote, floor):
    data = b"\xff" * SIZE
    assert zygote.decode_event(data) is data
    assert zygote.decode_event(b"") is None
    assert seconds(lambda: zygote.decode_event(b"[" * (SIZE - 1) + b"\xff"), 3) < MOST_FLOORS * floor
