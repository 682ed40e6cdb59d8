"""Servers that are away, at the start and later; daemons that end; two executors on one host."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from client import Client, new_id
from conftest import Stack, deploy, keep_logs, temporary_folder

DEADLINE_S = 60
USERS = [f"user{n}" for n in range(8)]


def until(holds, what, deadline_s=DEADLINE_S):
    """Waits for a condition; gives back what it gave."""
    end = time.monotonic() + deadline_s
    while not (found := holds()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return found


def get(address, path):
    """Status and body of a daemon's page; (0, reason) where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


@pytest.fixture(scope="module")
def pair():
    """A stack with two executors, and a client of it."""
    stack = Stack(temporary_folder())
    try:
        stack.up("--executors", "2")
        for user in USERS:
            deploy(stack, "waits", user, attempts=3)  # with one, the death of an executor would be the end
        yield stack, Client(stack.env()["HEARTH_BOOTSTRAP"])
    finally:
        keep_logs(stack)
        done = stack.down()
        shutil.rmtree(stack.folder, ignore_errors=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def place():
    """A folder that the accounts of machines can pass through."""
    folder = pathlib.Path(temporary_folder())
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def ask(client, function, user):
    """A request whose reply is a map with all fields."""
    invocation = new_id()
    client.send(json.dumps({"id": invocation, "fn": function, "user": user, "in": 1}).encode(),
                {"content-type": "application/json"}, key=user.encode())
    return invocation


def machines(stack):
    """The names of the domains that run."""
    listed = stack.run(["virsh", "-c", stack.env()["HEARTH_LIBVIRT_URI"], "list", "--name"])
    assert listed.returncode == 0, listed.stderr
    return {name for name in listed.stdout.split() if name.startswith("hearth-")}


def test_two_executors_share_the_users_and_one_may_die(pair):
    stack, client = pair
    first = {user: client.reply(ask(client, "waits", user)).json() for user in USERS}
    assert all(answer["status"] == "ok" for answer in first.values()), first
    assert {answer["executor"] for answer in first.values()} == {"executor-1", "executor-2"}
    assert len({answer["instance"] for answer in first.values()}) == len(USERS)

    sent = [ask(client, "waits", user) for user in USERS for _ in range(2)]
    os.kill(stack.pids()["executor-2"], signal.SIGKILL)
    orphans = {name for name in machines(stack) if name.startswith("hearth-executor-2-")}
    for invocation in sent:
        assert client.reply(invocation).json()["status"] == "ok"
    seen = [record.headers["hearth-id"] for record in client.seen["hearth.reply"]]
    assert all(seen.count(invocation) == 1 for invocation in sent)
    assert orphans
    stack.up()
    until(lambda: not orphans & machines(stack), "the machines of the executor that died are still there")


def test_an_executor_that_is_told_to_end_drains_and_leaves_no_machine(pair):
    stack, client = pair
    sent = [ask(client, "waits", user) for user in USERS]
    pid = stack.pids()["executor-2"]
    os.kill(pid, signal.SIGTERM)
    for invocation in sent:
        assert client.reply(invocation).json()["status"] == "ok"
    until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), "the executor did not end")
    assert not [name for name in machines(stack) if name.startswith("hearth-executor-2-")]
    stack.up()


def test_libvirt_away_costs_no_warm_invocation_and_heals(pair):
    stack, client = pair
    assert client.reply(ask(client, "waits", "user0")).json()["status"] == "ok"
    os.kill(stack.pids()["libvirtd"], signal.SIGKILL)
    assert client.reply(ask(client, "waits", "user0")).json()["start_path"] == "container"
    stack.up()
    deploy(stack, "waits", "late")
    assert client.reply(ask(client, "waits", "late")).json()["status"] == "ok"


def test_kafka_away_loses_nothing(pair):
    stack, client = pair
    sent = [ask(client, "waits", user) for user in USERS]
    os.kill(stack.pids()["kafka"], signal.SIGKILL)
    until(lambda: stack.dev("up").returncode == 0, "Kafka does not come back")  # its port may be held for a moment
    sent += [ask(client, "waits", user) for user in USERS]
    for invocation in sent:
        assert client.reply(invocation).json()["status"] == "ok"
    for which in ("DISPATCHER", "EXECUTOR"):
        address = stack.env()[f"HEARTH_{which}_HTTP"]
        until(lambda a=address: get(a, "/readyz")[0] == 200, f"{which} does not become ready again")


@pytest.mark.parametrize("daemon, source, away, named", [
    ("hearth-dispatcher", "dispatcher", "kafka", "functions"),
    ("hearth-dispatcher", "dispatcher", "redis", "redis"),
    ("hearth-executor", "executor-1", "kafka", "kafka"),
    ("hearth-executor", "executor-1", "redis", "redis"),
    ("hearth-executor", "executor-1", "libvirt", "libvirt"),
])
def test_a_server_away_at_the_start_is_waited_for(pair, place, daemon, source, away, named):
    stack, _ = pair
    own = {"id": f"late-{source}", "http": "127.0.0.1:0"}
    lines = []
    table = ""
    for line in (stack.folder / "etc" / f"{source}.toml").read_text().splitlines():
        key = line.split(" = ")[0]
        table = line.strip("[]") if line.startswith("[") else table
        if key in own and not table:
            line = f'{key} = "{own[key]}"'
        elif key == "listen":
            line = f'listen = "unix:{place}/link.sock"'
        elif key in ("run_dir", "state_dir"):
            (place / key).mkdir()
            line = f'{key} = "{place}/{key}"'
        elif (table, key) == ("kafka", "bootstrap"):
            line = 'bootstrap = "127.0.0.1:1"\ngroup = "late"' if away == "kafka" and source == "dispatcher" else (
                'bootstrap = "127.0.0.1:1"' if away == "kafka" else line)
        elif (table, key) == ("redis", "address") and away == "redis":
            line = f'address = "unix:{place}/redis.sock"'
        elif (table, key) == ("machines", "libvirt") and away == "libvirt":
            line = f'libvirt = "qemu+unix:///system?socket={place}/libvirt.sock"'
        lines.append(line)
    config = place / "daemon.toml"
    config.write_text("\n".join(lines) + "\n")
    log = place / "log"
    with log.open("w") as output, subprocess.Popen([daemon, "--config", str(config)], env=stack.env(), stdout=output,
                                                   stderr=output) as process:
        try:
            port = until(lambda: next((word.split("=")[1] for line in log.read_text().splitlines()
                                       for word in line.split() if word.startswith("http=")), None), log.read_text)
            address = f"127.0.0.1:{port}"
            until(lambda: get(address, "/readyz")[0] == 503 and named in get(address, "/readyz")[1],
                  "it does not say what it waits for")
            assert get(address, "/healthz")[0] == 200
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0, log.read_text()
        finally:
            if process.poll() is None:
                process.kill()


def test_kvm_that_runs_nothing_is_refused_where_it_is_demanded(pair, place):
    stack, _ = pair
    status, body = get(stack.env()["HEARTH_EXECUTOR_HTTP"], "/readyz")
    assert status == 200
    if "kvm: " in body:
        return  # a host whose KVM runs machines has nothing to refuse
    text = (stack.folder / "etc" / "executor-1.toml").read_text()
    for key in ("run_dir", "state_dir"):
        (place / key).mkdir()
    lines = []
    for line in text.splitlines():
        key = line.split(" = ")[0]
        new = {"id": "kvm-only", "http": "127.0.0.1:0", "listen": f"unix:{place}/link.sock", "accel": "kvm",
               "run_dir": f"{place}/run_dir", "state_dir": f"{place}/state_dir"}
        lines.append(f'{key} = "{new[key]}"' if key in new else line)
    config = place / "kvm.toml"
    config.write_text("\n".join(lines) + "\n")
    done = stack.run(["hearth-executor", "--config", str(config)], timeout=120)
    assert done.returncode == 1 and "KVM is demanded" in done.stdout + done.stderr, (done.returncode, done.stderr)
