"""tools/dev itself: up, a second up, a port in use, what dies, down."""

import os
import pathlib
import signal
import socket
import subprocess

import pytest
from conftest import ROOT, Stack

SERVERS = "kafka,redis,libvirtd"
PROBE = """<domain type='qemu'><name>hearth-stack-probe</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices></domain>"""


def start_probe(stack):
    """A machine that no executor knows, as one that outlived its executor."""
    definition = stack.folder / "probe.xml"
    definition.write_text(PROBE)
    uri = stack.env()["HEARTH_LIBVIRT_URI"]
    done = stack.run(["virsh", "-c", uri, "create", str(definition), "--paused"])
    assert done.returncode == 0, done.stderr
    definition.unlink()


def probe_runs(stack):
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if b"guest=hearth-stack-probe," in (entry / "cmdline").read_bytes() and str(stack.folder).encode() in (
                    entry / "mountinfo"
                ).read_bytes():
                    return True
            except OSError:
                continue
    return False


def is_root():
    return os.geteuid() == 0


def test_up_answers_and_down_leaves_nothing(empty_stack):
    stack = empty_stack
    stack.up("--only", SERVERS)
    run_folder = pathlib.Path(stack.run_folder())
    environment = stack.env()
    assert stack.run(["kcat", "-L", "-b", environment["HEARTH_BOOTSTRAP"], "-m", "5"]).returncode == 0
    redis = environment["HEARTH_REDIS"].removeprefix("unix:")
    assert stack.run(["redis-cli", "-s", redis, "ping"]).stdout.strip() == "PONG"
    assert stack.run(["virsh", "-c", environment["HEARTH_LIBVIRT_URI"], "version"]).returncode == 0
    start_probe(stack)
    recorded = stack.pids()
    assert {"kafka", "redis"} <= set(recorded)

    done = stack.down()
    assert done.returncode == 0, done.stderr
    assert stack.processes() == {}
    assert not probe_runs(stack)
    assert not run_folder.exists()
    assert not stack.folder.exists()
    assert str(stack.folder) not in pathlib.Path("/proc/self/mountinfo").read_text()
    assert not list(pathlib.Path("/sys/fs/cgroup").glob("*/machine/*hearth-stack-probe*"))


ORDINARY_USER = 65534   # nobody
MOUNT_POINT = "file /run/libvirt"   # belongs to Debian's package; to remove it would unmount it under other stacks


@pytest.mark.parametrize("user", [0, ORDINARY_USER])
def test_a_whole_life_leaves_nothing(user):
    """up, an invocation in a machine, down: as root and as an ordinary user, in a world where every trace shows."""
    if not is_root():
        pytest.skip("only root can make such a world")
    cache = os.environ.get("HEARTH_CACHE", "/var/cache/hearth")
    words = "unshare --mount --pid --net --ipc --fork --kill-child --mount-proc".split()
    done = subprocess.run([*words, str(ROOT / "tests" / "e2e" / "world.sh"), str(ROOT), cache, str(user)], text=True,
                          capture_output=True, timeout=600, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "status ok" in done.stderr
    assert set(done.stdout.splitlines()) <= {MOUNT_POINT}


def test_second_up_starts_nothing_twice(empty_stack):
    stack = empty_stack
    stack.up("--only", SERVERS)
    before = stack.pids()
    stack.up("--only", SERVERS)
    assert stack.pids() == before


def test_up_starts_what_died_and_nothing_else(empty_stack):
    stack = empty_stack
    stack.up("--only", "kafka,redis")
    before = stack.pids()
    os.kill(before["redis"], signal.SIGKILL)
    status = stack.dev("status")
    assert status.returncode == 1
    assert any(line.split()[:2] == ["redis", "DOWN"] for line in status.stdout.splitlines()), status.stdout
    stack.up("--only", "kafka,redis")
    after = stack.pids()
    assert after["kafka"] == before["kafka"]
    assert after["redis"] != before["redis"]


def test_up_right_after_a_kill_waits_for_what_still_ends(empty_stack):
    stack = empty_stack
    stack.up("--only", "kafka")
    before = stack.pids()["kafka"]
    os.kill(before, signal.SIGKILL)   # its threads hold its port and the lock of its storage for a moment yet
    stack.up("--only", "kafka")
    assert stack.pids()["kafka"] != before
    assert stack.run(["kcat", "-L", "-b", stack.env()["HEARTH_BOOTSTRAP"], "-m", "5"]).returncode == 0


def test_port_in_use_is_named_and_nothing_is_started(empty_stack):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = str(taken.getsockname()[1])
        done = empty_stack.dev("up", "--only", "kafka,redis", HEARTH_KAFKA_PORT=port)
    assert done.returncode == 1
    assert port in done.stderr and "HEARTH_KAFKA_PORT" in done.stderr
    assert empty_stack.pids() == {}


def test_down_finds_machines_that_outlived_libvirtd(empty_stack):
    stack = empty_stack
    stack.up("--only", "libvirtd")
    start_probe(stack)
    assert probe_runs(stack)
    os.kill(stack.pids()["libvirtd"], signal.SIGKILL)
    done = stack.down()
    assert done.returncode == 0, done.stderr
    assert not probe_runs(stack)


def test_down_never_kills_a_stranger_with_a_recorded_pid(empty_stack):
    stack = empty_stack
    stack.up("--only", "redis")
    with subprocess.Popen(["tail", "-f", "/dev/null"]) as stranger:
        try:
            pids = stack.folder / "pids" / "dispatcher"
            pids.write_text(f"{stranger.pid} 1\n")  # the same number, another start
            assert stack.dev("down").returncode == 0
            assert stranger.poll() is None
        finally:
            stranger.terminate()


def test_two_stacks_at_once(empty_stack, tmp_path):
    other = Stack(tmp_path / "other")
    try:
        empty_stack.up("--only", "redis,libvirtd")
        other.up("--only", "redis,libvirtd")
        assert empty_stack.env()["HEARTH_REDIS"] != other.env()["HEARTH_REDIS"]
        assert other.down().returncode == 0
        uri = empty_stack.env()["HEARTH_LIBVIRT_URI"]
        assert empty_stack.run(["virsh", "-c", uri, "version"]).returncode == 0
    finally:
        other.down()


def test_purge_leaves_what_is_not_the_stacks(empty_stack):
    stack = empty_stack
    (stack.folder / "mine.txt").write_text("kept")
    stack.up("--only", "redis")
    assert stack.down().returncode == 0
    assert [entry.name for entry in stack.folder.iterdir()] == ["mine.txt"]


def test_usage_errors_exit_2(empty_stack):
    for words in (["nonsense"], ["up", "--nonsense"], ["up", "--only", "nginx"], ["up", "--executors", "0"], ["up", "--executors"],
                  ["down", "--nonsense"], ["build", "--preset", "nonsense"], ["test", "--ring", "nonsense"], ["bench"]):
        done = empty_stack.dev(*words)
        assert done.returncode == 2, (words, done.stderr)
        assert done.stderr.startswith("tools/dev: "), (words, done.stderr)


def test_each_chore_has_help(empty_stack):
    chores = "setup build image up down status logs env demo test lint bench".split()
    overview = empty_stack.dev("help").stdout
    for chore in chores:
        assert chore in overview
        told = empty_stack.dev("help", chore)
        assert told.returncode == 0 and told.stdout.startswith(f"tools/dev {chore}"), told.stdout
        assert empty_stack.dev(chore, "--help").stdout == told.stdout


def test_what_needs_a_stack_says_that_there_is_none(empty_stack):
    for chore in ("env", "logs"):
        done = empty_stack.dev(chore)
        assert done.returncode == 1 and "tools/dev: " in done.stderr, (chore, done.stderr)
    assert empty_stack.dev("status").returncode == 1
