"""Each start path, forced, and read back from the reply with its times; and the image that all machines start from."""

import json
import os
import shutil

from conftest import FUNCTIONS, ROOT, temporary_folder
from support import Executor, answered_once, ask, metric, until

TIMES = ["received_us", "placed_us", "leased_us", "started_us", "ended_us"]


def deploy(stack, user, profile, name, handler, folder):
    done = stack.run(["hearth", "--user", user, "deploy", name, "--handler", handler, "--memory", "64", "--timeout-ms", "20000",
                      "--profile", profile, str(folder)])
    assert done.returncode == 0, done.stderr


def path_of(client, user, function):
    """One invocation: its path, and what its times say."""
    invocation = ask(client, function, user, {})
    answer = answered_once(client, [invocation])[invocation]
    assert answer["status"] == "ok", answer
    times = [answer[name] for name in TIMES]
    assert times == sorted(times) and answer["enqueued_us"] > 0, answer
    return answer["start_path"]


def test_each_start_path_is_forced_and_told(stack, client):
    pooled = Executor(stack, temporary_folder(), "pooled", profile={"pool_min": 1, "pool_max": 1})
    filled = Executor(stack, temporary_folder(), "filled", profile={"shells": 1})
    booted = Executor(stack, temporary_folder(), "booted", profile={"shells": 0}, start="boot")

    def kind(executor, what):
        return metric(executor.address, "hearth_executor_pool", profile=executor.name, kind=what)

    try:
        for executor in (pooled, filled, booted):
            executor.start().ready()
        deploy(stack, "walker", "pooled", "first", "hostile.holds", FUNCTIONS)
        deploy(stack, "walker", "pooled", "same", "hostile.witness", FUNCTIONS)
        deploy(stack, "walker", "pooled", "other", "hello.handler", ROOT / "examples" / "hello-python")
        until(lambda: kind(pooled, "ready"), pooled.text)
        assert [path_of(client, "walker", name) for name in ("first", "first", "same", "other")] == \
            ["pool", "container", "cached", "instance"]
        deploy(stack, "filler", "filled", "first", "hostile.holds", FUNCTIONS)
        until(lambda: kind(filled, "shells"), filled.text)
        assert path_of(client, "filler", "first") == "restore"
        deploy(stack, "booter", "booted", "first", "hostile.holds", FUNCTIONS)
        assert path_of(client, "booter", "first") == "boot"
    finally:
        for executor in (pooled, filled, booted):
            executor.discard()
            shutil.rmtree(executor.place, ignore_errors=True)


def test_the_same_inputs_make_the_same_image(stack):
    """Made once more in an empty folder, from the same packages."""
    place = temporary_folder()
    cache = os.environ.get("HEARTH_CACHE", "/var/cache/hearth")
    try:
        done = stack.run([str(ROOT / "guest/image/build.sh"), "--agent", str(ROOT / "build/release/bin/hearth-agent"), "--out", place,
                          "--cache", f"{cache}/packages"], timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        again, kept = (json.loads(open(f"{folder}/manifest.json").read()) for folder in (place, f"{cache}/image"))
        assert again == kept, "one of its parts differs"
    finally:
        shutil.rmtree(place, ignore_errors=True)
