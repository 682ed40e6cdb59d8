"""That the benches work: few samples of each, no figures. They start what they need and leave nothing."""

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
