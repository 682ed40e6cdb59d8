"""That the benches work: few samples of each, no figures. They start what they need and leave nothing."""

import json
import pathlib
import re

import pytest

pytestmark = pytest.mark.nightly

PATHS = ["container", "cached", "instance", "pool", "boot"]


def bench(stack, *words):
    done = stack.dev("bench", *words, timeout=900)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done


def leftovers():
    """Processes and folders of a bench's own daemons, templates and machines by hand."""
    needles = [b"/hearth-bench-", b"/hearth-template-", b"/hearth-boot-", b"/hearth-link-"]
    found = [str(path) for folder in ("/dev/shm", "/tmp") for path in pathlib.Path(folder).iterdir()
             if any(needle in b"/" + path.name.encode() for needle in needles)]
    for entry in pathlib.Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if any(needle in command for needle in needles):
            found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found


def samples(output, name):
    """The counts of the rows of that name, one for each table that has it."""
    return [int(count) for count in re.findall(rf"^{name} +(\d+) ", output, re.MULTILINE)]


def test_paths_forces_each_path_beside_its_floor(empty_stack):
    stack, before = empty_stack, leftovers()
    done = bench(stack, "paths", "--rounds", "1", "--boots", "1")
    for path in PATHS:
        assert samples(done.stdout, path) == [1, 1], f"{path}, python3 and native:\n{done.stdout}{done.stderr}"
    for floor in ("raw Kafka echo", "bare guest ping", "clone by hand → ping", "QEMU by hand → HELLO"):
        assert samples(done.stdout, floor) == [1, 1], done.stdout
    assert "not valid" not in done.stdout
    # An executor without shells has no such path: the bench says so, with the reason, and fails.
    restored = samples(done.stdout, "restore") == [1, 1]
    assert restored or "restore: not available: " in done.stdout, done.stdout
    assert done.returncode == (0 if restored else 1), done.stdout
    assert leftovers() == before
    assert stack.dev("status").returncode == 1, "the servers that it started are down again"


def test_boot_counts_and_compares(empty_stack):
    stack, before = empty_stack, leftovers()
    done = bench(stack, "boot", "--starts", "1", "--clones", "1", "--phases", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    for row in ("libvirt: HELLO", "by hand: HELLO", "clone by hand: activation → first answer"):
        assert samples(done.stdout, row) == [1], done.stdout
    commands = re.search(r"^monitor commands of a start through libvirt +1 +(\d+) ", done.stdout, re.MULTILINE)
    assert commands and 1 <= int(commands[1]) <= 20, done.stdout   # a count: no load changes it
    kernel = re.search(r"^kernel +[\d.]+ +([\d.]+) / ([\d.]+)$", done.stdout, re.MULTILINE)
    assert kernel and abs(float(kernel[1]) - float(kernel[2])) < 0.05 * float(kernel[1]), done.stdout
    assert leftovers() == before


def test_density_and_link_measure(empty_stack):
    stack, before = empty_stack, leftovers()
    done = bench(stack, "density", "--through", "hand", "--machines", "2", "--seconds", "1", "--markdown")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\| by hand +\| +2 \|", done.stdout, re.MULTILINE), done.stdout
    done = bench(stack, "link", "--quick")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "guest link ÷ bare" in done.stdout
    assert leftovers() == before


def test_load_answers_every_record_and_says_what_each_costs(empty_stack):
    stack, before = empty_stack, leftovers()
    done = bench(stack, "load", "--quick", "--in-flight", "16", "--users", "3", "--dispatchers", "2", "--executors", "2", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout)
    for loop in ("hearth", "echo"):
        assert figures[loop]["answered"] == figures[loop]["sent"] > 0 and figures[loop]["repeated"] == 0, figures
        assert 0 < figures[loop]["p50_ms"] <= figures[loop]["p99_ms"] <= figures[loop]["max_ms"], figures
    names = [process["name"] for process in figures["processes"]]
    assert names == ["dispatcher 1", "dispatcher 2", "executor 1", "executor 2", "broker", "client"]
    assert all(process["processor_us"] >= 0 and process["rss_mib"] > 1 for process in figures["processes"]), figures
    counted = [process["system_calls"] for process in figures["processes"][:-1]]
    assert all(count and count > 0 for count in counted) or figures["system_calls_not_measured"], figures
    assert leftovers() == before


def test_load_in_the_open_loop_and_of_refused_records(empty_stack):
    stack = empty_stack
    done = bench(stack, "load", "--quick", "--rate", "50", "--class", "mixed", "--keys", "random", "--no-system-calls", "--markdown")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "50 a second, open loop" in done.stdout and "answers: ok 50;" in done.stdout, done.stdout
    done = bench(stack, "load", "--quick", "--refused", "--in-flight", "16", "--no-system-calls")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"answers: rejected \d+; 0 lost, 0 repeated", done.stdout), done.stdout


def test_core_measures_both_cores(empty_stack):
    done = bench(empty_stack, "core", "--quick")
    for step in ("record → exec", "done → complete", "tick, nothing to place", "record refused → answer", "exec → run"):
        assert len(re.findall(rf"^{step} +\d+ ", done.stdout, re.MULTILINE)) == 2, done.stdout + done.stderr


def test_flood_measures_the_other_user(empty_stack):
    before = leftovers()
    done = bench(empty_stack, "flood", "--records", "500", "--before", "2", "--rate", "10", "--run", "2", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout)
    assert figures["flood"]["answered"] == 500 and figures["flood"]["repeated"] == 0, figures
    assert figures["before"]["ok"] == figures["before"]["sent"] > 0 and figures["during"]["unanswered"] == 0, figures
    for part in ("before", "during"):
        echo = figures[f"echo_{part}"]
        assert echo["ok"] == echo["sent"] > 0 and abs(echo["sent"] - figures[part]["sent"]) <= 1 and echo["p50_ms"] > 0, figures
    slowdown = figures["slowdown_p50"]
    assert slowdown["remaining"] == pytest.approx(slowdown["requests"] / slowdown["echo"]), figures
    assert leftovers() == before


def test_batch_measures_the_other_user_beside_an_echo(empty_stack):
    before = leftovers()
    done = bench(empty_stack, "batch", "--items", "2000", "--before", "2", "--rate", "10")
    assert done.returncode == 0, done.stdout + done.stderr
    for row in ("the other user, before", "the other user, while it runs", "raw Kafka echo, before", "raw Kafka echo, while it runs"):
        sent, ok, unanswered = re.search(rf"^{row} +(\d+) +(\d+) +(\d+) ", done.stdout, re.MULTILINE).groups()
        assert int(sent) == int(ok) > 0 and unanswered == "0", done.stdout
    assert re.search(r"^p99: the other user [\d.]+ ×, raw echo [\d.]+ ×, the one ÷ the other [\d.]+$", done.stdout, re.MULTILINE), done.stdout
    assert "2000 ok" in done.stdout and leftovers() == before, done.stdout


def test_peers_are_measured_beside_hearth(empty_stack):
    before = leftovers()
    done = bench(empty_stack, "peers", "--quick", "--in-flight", "8", "--only", "hearth", "--only", "librdkafka", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["peer"].split()[0] for row in rows] == ["hearth,", "librdkafka"] and all(row["per_second"] > 0 for row in rows), rows
    assert leftovers() == before


@pytest.mark.parametrize("words, complaint", [
    (["peers", "--only", "nobody"], "there are hearth"),
    (["load", "--users", "0"], "--users"),
    (["load", "--rate", "5", "--in-flight", "5"], "excludes"),
    (["load", "--run", "fast"], "'simulated.run' must be a time in ms"),
    (["flood", "--long", "--records", "5"], "excludes"),
])
def test_options_that_mean_nothing_are_named(empty_stack, words, complaint):
    done = empty_stack.dev("bench", *words, "--no-system-calls" if "--run" in words else "--json", timeout=900)
    assert done.returncode in (2, 3) and complaint in done.stderr + done.stdout, done.stdout + done.stderr
