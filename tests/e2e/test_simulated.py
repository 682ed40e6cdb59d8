"""Simulated machines: the whole path without libvirt, image and user code. What comes back says so, fails as it was told, and is
neither lost nor repeated where executors end or are killed."""

import json
import subprocess
import time

import pytest

from client import Client
from conftest import deploy, running_stack, temporary_folder
from support import Simulated, answered_once, ask, get, metric, running, to_toml, until


@pytest.fixture(scope="module")
def stack():
    with running_stack("--simulated") as stack:
        yield stack


@pytest.fixture(scope="module")
def client(stack):
    for name in ("hello", "other"):
        deploy(stack, "witness", name=name, attempts=3, timeout_ms=20000)
    client = Client(stack.env()["HEARTH_BOOTSTRAP"])
    client.reply(client.request("hello", b"{}"))   # the registry has arrived everywhere
    return client


@pytest.fixture
def own(stack):
    """Executors of the test's own, with a profile that nobody else has; gone after it."""
    made = []

    def make(name, simulated=None, **machines):
        executor = Simulated(stack, temporary_folder(), name, changes={"simulated": simulated or {"seed": 1}}, **machines)
        made.append(executor)
        return executor

    yield make
    for executor in made:
        executor.discard()


def simulate(**wish):
    return {"simulate": wish}


def test_replies_come_and_everything_says_that_they_are_made_up(stack, client):
    first = client.reply(client.request("hello", b'{"n": 1}', user="alice"))
    assert (first.status, first.headers["hearth-accel"], first.value) == ("ok", "simulated", b"null"), first
    again = client.reply(client.request("hello", json.dumps(simulate(bytes=40)).encode()))
    assert (again.path, len(again.value)) == ("container", 40), again
    address = stack.env()["HEARTH_EXECUTOR_HTTP"]
    status, page = get(address, "/readyz")
    assert status == 200 and "acceleration: simulated" in page and "no user code runs" in page, page
    assert "libvirt" not in page, page
    assert metric(address, "hearth_executor_acceleration", kind="simulated") == 1
    assert metric(address, "hearth_executor_peer_up", peer="libvirt") is None
    assert "acceleration=simulated: machines are simulated" in (stack.folder / "logs" / "executor-1.log").read_text()
    shown = stack.run("hearth ps")
    assert shown.returncode == 0 and "acceleration=simulated" in shown.stdout, shown.stdout
    told = stack.run(["hearth", "--user", "alice", "invoke", "hello", "--data", "{}"])
    assert told.returncode == 0 and "simulated" in told.stdout + told.stderr, told
    assert "libvirtd" not in stack.dev("status").stdout


def test_times_are_kept(client):
    begin = time.monotonic()
    answer = answered_once(client, [ask(client, "hello", "alice", simulate(ms=400))])
    assert time.monotonic() - begin >= 0.4
    (result,) = answer.values()
    assert result["status"] == "ok" and result["billed_ms"] >= 400, result


def test_a_run_that_is_to_fail_is_the_functions_failure(client):
    (result,) = answered_once(client, [ask(client, "hello", "alice", simulate(fail=True))]).values()
    assert (result["status"], result["error_type"], result["attempt"]) == ("error", "SimulatedFailure", 3), result
    (result,) = answered_once(client, [ask(client, "hello", "alice", simulate(ms=100_000), timeout_ms=500)]).values()
    assert (result["status"], result["attempt"]) == ("timeout", 3), result


def test_a_machine_that_is_to_die_is_the_machinerys_failure(client):
    (result,) = answered_once(client, [ask(client, "hello", "alice", simulate(die=True))]).values()
    assert result["status"] == "poison", result
    neighbour = client.reply(client.request("other"))   # a machine is there again
    assert neighbour.status == "ok"


def test_starts_that_are_to_fail_make_the_executor_say_so(stack, client, own):
    executor = own("failing", {"failed_starts_ppm": 1_000_000}).start()
    deploy(stack, "witness", "starter", name="starts", profile=executor.name)
    hurried = ask(client, "starts", "starter", {}, expires=int(time.time() * 1000) + 3000)
    executor.not_ready("machines: the last ")
    assert "simulated.failed_starts_ppm says so" in get(executor.address, "/readyz")[1]
    (result,) = answered_once(client, [hurried]).values()
    assert result["status"] == "expired", result


def test_an_executor_that_drains_finishes_what_runs(stack, client, own):
    executor = own("draining").start().ready()
    deploy(stack, "witness", "drainer", name="drains", profile=executor.name, timeout_ms=20000)
    held = ask(client, "drains", "drainer", simulate(ms=1500))
    running(executor)
    executor.end()
    (result,) = answered_once(client, [held]).values()
    assert (result["status"], result["attempt"]) == ("ok", 1), result


def test_an_executor_that_is_killed_costs_repeated_attempts_at_most(stack, client, own):
    executor = own("killed").start().ready()
    deploy(stack, "witness", "victim", name="survives", attempts=3, profile=executor.name, timeout_ms=20000)
    asked = [ask(client, "survives", "victim", simulate(ms=2000)) for _ in range(20)]
    running(executor, 4)
    dispatcher = stack.env()["HEARTH_DISPATCHER_HTTP"]
    executor.kill()
    until(lambda: "cannot connect" in get(dispatcher, "/readyz")[1], "the dispatcher says nothing of a link that is away")
    executor.start().ready()
    results = answered_once(client, asked).values()
    assert all(result["status"] == "ok" for result in results), results
    # Nor of those that have ended for good, once the directory names them no more.
    until(lambda: "cannot connect" not in get(dispatcher, "/readyz")[1], lambda: get(dispatcher, "/readyz")[1])


def test_many_users_each_have_machines_of_their_own(stack, client):
    users = [f"many{n}" for n in range(40)]
    for user in users:
        deploy(stack, "witness", user, name="mine")
    results = answered_once(client, [ask(client, "mine", user) for user in users for _ in range(3)]).values()
    assert all(result["status"] == "ok" for result in results), results
    owners = {}
    for result in results:
        assert owners.setdefault(result["instance"], result["user"]) == result["user"]
    assert len(owners) >= len(users)


def test_what_is_simulated_cannot_be_demanded_to_be_kvm(own):
    executor = own("strict", require_kvm=True)
    path = executor.place / "strict.toml"
    path.write_text(to_toml(executor.config) + "\n")
    done = subprocess.run([executor.program, "--config", str(path)], env=executor.stack.env(), timeout=60, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "'machines.require_kvm' cannot hold: machines.driver = \"simulated\" makes no machines" in done.stderr


def test_a_simulated_stack_needs_no_libvirtd_and_leaves_nothing(empty_stack):
    empty_stack.up("--simulated")
    done = empty_stack.dev("up", "--simulated")
    assert done.returncode == 0 and "up already" in done.stderr, done.stderr
    assert set(empty_stack.pids()) == {"kafka", "redis", "executor-1", "dispatcher"}
    assert empty_stack.processes()
    assert empty_stack.down().returncode == 0
    assert not empty_stack.processes()
