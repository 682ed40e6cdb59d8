"""What one user's machines and requests leave to another: memory, places and processors of a host."""

import pathlib
import shutil

import pytest
from conftest import FUNCTIONS, temporary_folder
from support import Executor, answered_once, ask, get, instance_of, metric, qemu_of, running, until

WHOLE_MIB = "350"   # of a container that fills a machine


@pytest.fixture
def own(stack):
    """Makes executors of the test's own; all are gone after it."""
    made = []

    def make(name, **settings):
        made.append(Executor(stack, temporary_folder(), name, **settings))
        return made[-1].start().ready()

    yield make
    for executor in made:
        executor.discard()
        shutil.rmtree(executor.place, ignore_errors=True)


def deploy_whole(stack, executor, user, handler, *names):
    """Functions of a user each of which needs a machine for itself."""
    for name in names:
        done = stack.run(["hearth", "--user", user, "deploy", name, "--handler", f"hostile.{handler}", "--memory", WHOLE_MIB,
                          "--timeout-ms", "60000", "--profile", executor.name, str(FUNCTIONS)])
        assert done.returncode == 0, done.stderr


def pool(executor, kind):
    return metric(executor.address, "hearth_executor_pool", profile=executor.name, kind=kind)


def ok(client, requests):
    answers = answered_once(client, requests)
    assert all(answer["status"] == "ok" for answer in answers.values()), answers
    return [answers[request] for request in requests]


def processes(stack, executor):
    """The QEMU of each machine of the executor, by the machine's name."""
    found = {instance_of(stack, domain): qemu_of(domain) for domain in executor.machines()}
    return {name: process for name, process in found.items() if name and process}


def test_a_new_user_in_a_house_full_of_idle_machines_starts_by_pool(stack, client, own):
    executor = own("fullhouse", memory_mib=2048, profile={"pool_min": 1, "pool_max": 2, "shells": 1})
    names = [f"f{n}" for n in range(5)]
    deploy_whole(stack, executor, "landlord", "holds", *names)
    deploy_whole(stack, executor, "newcomer", "holds", "f")
    deploy_whole(stack, executor, "second", "holds", "f")
    ok(client, [ask(client, name, "landlord", {"ms": 1500}) for name in names])
    until(lambda: pool(executor, "ready") == 1 and executor.held("running") == 0, executor.text)
    assert pool(executor, "assigned") == 3, "one machine is kept for whoever has none"

    # The log says at once what the gauges say a moment later.
    def made_room():
        return executor.text().count('to=draining reason="kept for the pool"')

    def in_pool():
        return executor.text().count("to=warm reason=hello") - executor.text().count("from=warm to=")

    for number, user in enumerate(("newcomer", "second"), 1):   # for the second one a machine of the landlord's has made room
        answer, = ok(client, [ask(client, "f", user, {})])
        assert answer["start_path"] == "pool", answer
        until(lambda: made_room() == number and in_pool() == 1, executor.text)
    done = stack.run(["hearth", "pool", "set", executor.name, "--min", "2", "--max", "2"])
    assert done.returncode == 0, done.stderr
    until(lambda: pool(executor, "ready") == 2, executor.text)
    executor.leaves_nothing()


def test_one_users_cold_starts_refuse_nobodys_warm_ones(stack, client, own):
    executor = own("coldhouse", memory_mib=1536, credit=4, waiting=2, profile={"pool_min": 1, "pool_max": 1, "shells": 1})
    names = [f"f{n}" for n in range(12)]
    deploy_whole(stack, executor, "cold", "holds", *names)
    deploy_whole(stack, executor, "warm", "holds", "f")
    ok(client, [ask(client, "f", "warm", {})])
    cold = [ask(client, name, "cold", {"ms": 500}) for name in names]
    running(executor)
    until(lambda: executor.held("waiting") >= 1, executor.text)
    answers = []
    for _ in range(10):
        answers += ok(client, [ask(client, "f", "warm", {})])
        assert executor.held("waiting") <= 2
    assert {answer["start_path"] for answer in answers} == {"container"}, answers
    ok(client, cold)
    executor.leaves_nothing()


def group_of(process):
    """The control group that weighs the process's time."""
    lines = [line.split(":", 2) for line in pathlib.Path(f"/proc/{process}/cgroup").read_text().splitlines()]
    return next((path for _, controllers, path in lines if "cpu" in controllers.split(",")), lines[-1][2])


@pytest.mark.nightly   # wants both processors for itself
def test_many_machines_of_one_user_leave_another_its_share_of_the_processors(stack, client, own):
    executor = own("sharers", memory_mib=3072, profile={"pool_min": 1, "pool_max": 1, "shells": 1})
    if "control groups: every user's machines" not in get(executor.address, "/readyz")[1]:
        pytest.skip(get(executor.address, "/readyz")[1])
    names = ["f0", "f1", "f2"]
    deploy_whole(stack, executor, "many", "spins", *names)
    deploy_whole(stack, executor, "single", "spins", "f")
    ok(client, [ask(client, name, "many", {"ms": 500}) for name in names] + [ask(client, "f", "single", {"ms": 1})])
    until(lambda: pool(executor, "assigned") == 4 and pool(executor, "ready") == 1, executor.text)

    def groups():
        return sorted(group_of(process).rsplit("/", 1)[1] for process in processes(stack, executor).values())

    wanted = ["pool", "u-many", "u-many", "u-many", "u-single"]
    until(lambda: [group for group in groups() if group != "pool"] == wanted[1:] and "pool" in groups(), lambda: str(groups()))
    *many, single = ok(client, [ask(client, name, "many", {"ms": 6000}) for name in names] + [ask(client, "f", "single", {"ms": 6000})])
    together = sum(int(answer["out"]["rounds"]) for answer in many)
    ratio = int(single["out"]["rounds"]) / together
    print(f"one machine did {ratio:.2f} of what three of another user did together")
    # One emulated machine keeps one processor busy at most, and shares it with a third of the others' weight.
    assert ratio > 0.43, "0.6 by the weights on two processors, 0.33 without"
    executor.leaves_nothing()


def test_where_nice_values_reach_nothing_readyz_says_so(stack, client, own):
    executor = own("nicely", memory_mib=2048, shares="nice", profile={"pool_min": 0, "pool_max": 0, "shells": 0})
    assert "nice values: a user's further machines weigh less" in get(executor.address, "/readyz")[1]
    deploy_whole(stack, executor, "nice", "holds", "f0", "f1")
    ok(client, [ask(client, name, "nice", {"ms": 1000}) for name in ("f0", "f1")])
    until(lambda: len(processes(stack, executor)) == 2, executor.text)
    apart = len({group_of(process) for process in processes(stack, executor).values()}) == 2
    if apart:
        assert "none: libvirt gives each machine a control group of its own" in get(executor.address, "/readyz")[1]
    else:
        values = [int(pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[16])
                  for process in processes(stack, executor).values()]
        assert sorted(values) == [0, 3]
    executor.leaves_nothing()
