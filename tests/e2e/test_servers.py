"""Servers that are away, at the start and later; daemons that end; two executors on one host."""

import os
import signal
import socket
import threading

import pytest
from client import Client
from confluent_kafka.admin import AdminClient, NewTopic
from conftest import deploy, running_stack
from support import Daemon, Executor, answered_once, ask, get, machines, pid_alive, until

USERS = [f"user{n}" for n in range(8)]


@pytest.fixture(scope="module")
def pair():
    """A stack with two executors, and a client of it."""
    with running_stack("--executors", "2") as stack:
        for user in USERS:
            deploy(stack, "waits", user, attempts=3)  # with one, the death of an executor would be the end
        yield stack, Client(stack.env()["HEARTH_BOOTSTRAP"])


def test_two_executors_share_the_users_and_one_may_die(pair):
    stack, client = pair
    first = {user: client.reply(ask(client, "waits", user)).json() for user in USERS}
    assert all(answer["status"] == "ok" for answer in first.values()), first
    assert {answer["executor"] for answer in first.values()} == {"executor-1", "executor-2"}
    assert len({answer["instance"] for answer in first.values()}) == len(USERS)

    sent = [ask(client, "waits", user) for user in USERS for _ in range(2)]
    os.kill(stack.pids()["executor-2"], signal.SIGKILL)
    orphans = {name for name in machines(stack) if name.startswith("hearth-executor-2-")}
    assert all(answer["status"] == "ok" for answer in answered_once(client, sent).values())
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
    until(lambda: not pid_alive(pid), "the executor did not end")
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
    stack.up()   # at once, although the port may be held for a moment yet
    sent += [ask(client, "waits", user) for user in USERS]
    for invocation in sent:
        assert client.reply(invocation).json()["status"] == "ok"
    for which in ("DISPATCHER", "EXECUTOR"):
        address = stack.env()[f"HEARTH_{which}_HTTP"]
        until(lambda a=address: get(a, "/readyz")[0] == 200, f"{which} does not become ready again")


class Forward:
    """A port that leads to another one once it is open: the address at which a broker comes late."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.open_ends = [self.listener]

    def open(self):
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        try:
            while True:
                near = self.listener.accept()[0]
                far = socket.create_connection(self.target)
                self.open_ends += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self.copy, args=ends, daemon=True).start()
        except OSError:
            return  # closed

    @staticmethod
    def copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        for end in self.open_ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()


def late_daemon(stack, place, source):
    """A daemon beside those of the stack whose work does not mix with theirs: with topics, or a profile, of its own."""
    if source == "executor":
        return Executor(stack, place, "late")
    daemon = Daemon(stack, place, "hearth-dispatcher", "dispatcher", id="late",
                    topics={"rt": "late.rt", "std": "late.std", "batch": "late.batch"})
    daemon.config["kafka"]["group"] = "late"
    kafka = AdminClient({"bootstrap.servers": stack.env()["HEARTH_BOOTSTRAP"]})
    missing = set(daemon.config["topics"].values()) - set(kafka.list_topics(timeout=20).topics)
    for made in kafka.create_topics([NewTopic(name, 1, 1) for name in missing]).values() if missing else ():
        made.result()
    return daemon


@pytest.mark.parametrize("source, away, named", [
    ("dispatcher", "kafka", "functions"),
    ("dispatcher", "redis", "redis"),
    ("executor", "kafka", "kafka"),
    ("executor", "redis", "redis"),
    ("executor", "libvirt", "libvirt"),
])
def test_a_server_away_at_the_start_is_waited_for_and_used_when_it_comes(pair, place, source, away, named):
    stack, client = pair
    daemon = late_daemon(stack, place, source)
    host, port = daemon.config["kafka"]["bootstrap"].split(":")
    broker = Forward((host, int(port)))
    real = {"redis": daemon.config["redis"]["address"].removeprefix("unix:"), "libvirt": stack.run_folder() + "/libvirt/libvirt-sock"}
    if away == "kafka":
        daemon.config["kafka"]["bootstrap"] = broker.address
    elif away == "redis":
        daemon.config["redis"]["address"] = f"unix:{place}/redis.sock"
    else:
        daemon.config["machines"]["libvirt"] = f"qemu+unix:///system?socket={place}/libvirt.sock"
    try:
        daemon.start().not_ready(named)
        assert get(daemon.address, "/healthz")[0] == 200
        daemon.end()   # it can be told to end while it waits
        daemon.start().not_ready(named)
        if away == "kafka":
            broker.open()
        else:
            (place / f"{away}.sock").symlink_to(real[away])
        daemon.ready()
        if source == "dispatcher":
            sent = ask(client, "waits", "user0", topic="late.std")
            assert answered_once(client, [sent])[sent]["status"] == "ok"
        else:
            deploy(stack, "waits", f"late-{away}", attempts=3, profile="late")
            sent = ask(client, "waits", f"late-{away}")
            answer = answered_once(client, [sent])[sent]
            assert (answer["status"], answer["executor"]) == ("ok", "late"), answer
        daemon.end()
    finally:
        daemon.discard()
        broker.close()


def test_machines_with_the_network_of_the_host_are_told_of_and_refused_where_that_is_demanded(pair, place):
    """libvirt inside the executor's own process: its machines share the executor's network."""
    stack, _ = pair
    assert "network: the processes of machines have none" in get(stack.env()["HEARTH_EXECUTOR_HTTP"], "/readyz")[1]
    settings = place / "libvirt" / "etc" / "qemu.conf"   # as those of the stack's libvirtd
    settings.parent.mkdir(parents=True)
    settings.write_text((stack.folder / "libvirt" / "etc" / "qemu.conf").read_text())
    executor = Executor(stack, place, "net-warned", {"pool_min": 1, "pool_max": 1}, libvirt=f"qemu:///embed?root={place}/libvirt", accel="tcg")
    try:
        executor.start()
        until(lambda: "share the executor's network" in executor.text(), executor.text)
        executor.process.terminate()
        assert executor.process.wait(timeout=60) == 0, executor.text()
        executor.config["machines"]["require_no_network"] = True
        executor.start()
        assert executor.process.wait(timeout=120) == 1 and "refuses to run" in executor.text(), executor.text()
    finally:
        executor.discard()


def test_kvm_that_runs_nothing_is_refused_where_it_is_demanded(pair, place):
    stack, _ = pair
    status, body = get(stack.env()["HEARTH_EXECUTOR_HTTP"], "/readyz")
    assert status == 200
    if "kvm: " in body:
        pytest.skip("a host whose KVM runs machines has nothing to refuse")
    executor = Executor(stack, place, "kvm-only", accel="kvm")
    (place / "state" / "acceleration.json").unlink(missing_ok=True)   # it finds out by itself
    try:
        executor.start()
        assert executor.process.wait(timeout=120) == 1 and "KVM is demanded" in executor.text(), executor.text()
    finally:
        executor.discard()
