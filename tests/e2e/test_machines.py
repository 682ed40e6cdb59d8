"""What becomes of requests and machines where memory, image, libvirt, QEMU, disk or the executor itself fail.

Each test has an executor of its own with a profile that nobody else has, beside the stack that all share."""

import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import time

import pytest
import redis
from conftest import deploy, temporary_folder
from support import Executor, answered_once, ask, cgroups_of, domains, instance_of, qemu_of, restart_libvirtd, running, until

HOLD_MS = 3000

MARKED = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
<metadata>{mark}</metadata><os><type arch='x86_64' machine='q35'>hvm</type></os>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices></domain>"""
MARK = ("<hearth:machine xmlns:hearth='urn:hearth:machine:1' owner='hearth' executor='{executor}' "
        "incarnation='0123456789abcdef' instance='{instance}' user='' profile='default'/>")


@pytest.fixture
def own(stack):
    """Makes executors of the test's own; all are gone after it."""
    made = []

    def make(name, place=None, **settings):
        executor = Executor(stack, place or temporary_folder(), name, **settings)
        made.append(executor)
        return executor

    yield make
    for executor in made:
        executor.discard()
        shutil.rmtree(executor.place, ignore_errors=True)


def deploy_for(stack, executor, *users):
    for user in users:
        deploy(stack, "holds", user, attempts=3, profile=executor.name, timeout_ms=20000)


def ok_once(client, invocations):
    answers = answered_once(client, invocations)
    assert all(answer["status"] == "ok" for answer in answers.values()), answers
    return answers


def start_domain(stack, place, name, mark=""):
    definition = pathlib.Path(place) / f"{name}.xml"
    definition.write_text(MARKED.format(name=name, mark=mark))
    done = stack.run(["virsh", "-c", stack.env()["HEARTH_LIBVIRT_URI"], "create", str(definition), "--paused"])
    assert done.returncode == 0, done.stderr


def test_without_memory_requests_wait_expire_or_go_and_none_is_lost(stack, client, own):
    executor = own("narrow", memory_mib=512, profile={"pool_min": 1, "pool_max": 1}).start().ready()
    deploy_for(stack, executor, "narrow1", "narrow2", "narrow3")
    blocker = ask(client, "holds", "narrow1", {"ms": HOLD_MS})
    running(executor)
    hurried = ask(client, "holds", "narrow2", {}, expires=int(time.time() * 1000) + 300)
    patient = [ask(client, "holds", user, {}) for user in ("narrow2", "narrow3", "narrow1", "narrow2")]
    refused = client.reply(hurried).json()
    assert refused["status"] == "expired" and "expired before it started" in refused["error_message"], refused
    answers = ok_once(client, [blocker, *patient])
    by_user = {user: {each["instance"] for each in answers.values() if each["user"] == user}
               for user in ("narrow1", "narrow2", "narrow3")}
    assert not by_user["narrow1"] & by_user["narrow2"] and not by_user["narrow2"] & by_user["narrow3"]
    assert executor.held("instances") <= 1
    executor.leaves_nothing()


@pytest.mark.parametrize("fault, complaint", [
    ("no folder", "No such file or directory"),
    ("no manifest", "manifest.json: No such file or directory"),
    ("rubbish for a manifest", "manifest.json is not JSON"),
    ("no kernel", "vmlinux"),
    ("a damaged root", "root.squashfs is not the file that the manifest names"),
])
def test_an_image_that_is_missing_or_damaged_is_named_and_ends_the_start(stack, client, own, fault, complaint):
    executor = own("imageless")
    image, real = executor.place / "image", pathlib.Path(executor.config["machines"]["image"])
    executor.config["machines"]["image"] = str(image)
    if fault != "no folder":
        image.mkdir()
        for file in real.iterdir():
            (image / file.name).symlink_to(file.resolve())
    broken = {"no manifest": "manifest.json", "rubbish for a manifest": "manifest.json", "no kernel": "vmlinux",
              "a damaged root": "root.squashfs"}.get(fault)
    if broken:
        (image / broken).unlink()
    if fault in ("rubbish for a manifest", "a damaged root"):
        (image / broken).write_text("rubbish")
    executor.start()
    assert executor.process.wait(timeout=60) == 2
    assert complaint in executor.text() and str(image) in executor.text(), executor.text()


def test_an_image_that_goes_away_later_is_told_and_the_requests_wait_for_it(stack, client, own):
    executor = own("hollow", profile={"pool_min": 1, "pool_max": 1}, concurrent_starts=1)
    image, real = executor.place / "image", pathlib.Path(executor.config["machines"]["image"])
    image.mkdir(mode=0o755)
    for file in real.iterdir():
        (image / file.name).symlink_to(file.resolve())
    executor.config["machines"]["image"] = str(image)
    executor.config["machines"]["start"] = "boot"   # a template holds all that a machine needs
    executor.start().ready()
    deploy_for(stack, executor, "hollow1", "hollow2")
    (image / "vmlinux").unlink()
    requests = [ask(client, "holds", user, {}) for user in ("hollow1", "hollow2")]
    # Whichever is read first takes what the pool has, and the other needs a new machine.
    first = client.find("hearth.reply", lambda record: record.headers.get("hearth-id") in requests)
    assert first.json()["status"] == "ok"
    executor.not_ready("vmlinux")
    assert "could not be started" in executor.text()
    (image / "vmlinux").symlink_to((real / "vmlinux").resolve())
    ok_once(client, requests)
    executor.ready()
    executor.leaves_nothing()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_libvirtd_restarted_in_the_middle_of_runs_and_of_a_start(stack, client, own, how):
    name = f"restart{int(how)}"
    executor = own(name).start().ready()
    deploy_for(stack, executor, name + "-old", name + "-new")
    warm = ok_once(client, [ask(client, "holds", name + "-old", {})])
    runs = [ask(client, "holds", name + "-old", {"ms": HOLD_MS})]
    running(executor)
    before = executor.machines()
    runs.append(ask(client, "holds", name + "-new", {}))
    until(lambda: [qemu for qemu in map(qemu_of, executor.machines() - before) if qemu], "no second machine starts")
    restart_libvirtd(stack, how)
    answers = ok_once(client, runs)
    again = ok_once(client, [ask(client, "holds", name + "-old", {})])
    instances = {each["instance"] for each in [*warm.values(), answers[runs[0]], *again.values()]}
    assert len(instances) == 1, "the machine of a run did not outlive libvirtd"
    assert answers[runs[0]]["attempt"] == 1
    executor.settled()
    executor.leaves_nothing(libvirtd_ended_by=how)


@pytest.mark.parametrize("moment", ["idle in the pool", "starting", "running"])
def test_a_killed_qemu_costs_a_repeated_attempt_at_most(stack, client, own, moment):
    name = "q-" + moment.split()[0]
    pool = 1 if moment == "idle in the pool" else 0
    profile = {"pool_min": pool, "pool_max": pool}
    if moment == "starting":   # long enough to be met
        profile["shells"] = 0
    executor = own(name, profile=profile).start().ready()
    deploy_for(stack, executor, name)
    before = executor.settled()
    sent = []
    if moment == "running":
        sent = [ask(client, "holds", name, {"ms": HOLD_MS})]
        running(executor)
    elif moment == "starting":
        sent = [ask(client, "holds", name, {})]

    def find():   # shells, templates and trials have names for instances that end otherwise
        new = executor.machines() - (before if moment == "starting" else set())
        found = ((each, qemu_of(each), instance_of(stack, each)) for each in new)
        return next((each for each in found if each[1] and re.fullmatch(rf"{name}-[0-9a-f]+-[0-9]+", each[2])), None)

    victim, qemu, killed = until(find, lambda: f"no machine\n{executor.text()}")
    os.kill(qemu, signal.SIGKILL)
    until(lambda: victim not in executor.machines(), "the domain of the killed machine is still there")
    sent.append(ask(client, "holds", name, {}))
    answers = ok_once(client, sent)
    assert killed not in {each["instance"] for each in answers.values()}
    if moment == "running":   # the second machine saw it for the first time
        assert sorted(each["out"]["count"] for each in answers.values()) in ([1, 1], [1, 2])
    executor.settled()
    assert not cgroups_of(f"-{victim}.")
    executor.leaves_nothing()


def test_an_executor_killed_while_it_takes_from_the_pool_answers_once_and_leaves_no_stray(stack, client, own):
    name = "taken"
    executor = own(name, profile={"pool_min": 1, "pool_max": 1}).start().ready()
    deploy_for(stack, executor, name)
    strangers = {"unmarked": "", "other": MARK.format(executor="somebody-else", instance="other")}
    for stranger, mark in strangers.items():
        start_domain(stack, executor.place, f"hearth-{name}x-{stranger}", mark)
    start_domain(stack, executor.place, "hearth-of-an-earlier-life", MARK.format(executor=name, instance="early"))
    strays = executor.settled()
    invocation = ask(client, "holds", name, {"ms": 500})
    until(lambda: 'to=assigned reason=taken' in executor.text(), executor.text)
    executor.kill()
    strays |= executor.machines()
    assert strays
    executor.start().ready()
    try:
        assert "machines of an earlier life" in executor.text()
        answers = ok_once(client, [invocation])
        left = domains(stack)
        assert not left & strays and "hearth-of-an-earlier-life" not in left
        assert {f"hearth-{name}x-{stranger}" for stranger in strangers} <= left, "a stranger's domain was destroyed"
        until(lambda: answers[invocation]["instance"] in {instance_of(stack, each) for each in executor.machines()}, executor.text)
        until(lambda: slots_of(stack, name) == {answers[invocation]["instance"]}, lambda: str(slots_of(stack, name)))
        executor.settled()
        executor.leaves_nothing()
        until(lambda: not slots_of(stack, name), lambda: str(slots_of(stack, name)))
    finally:
        for stranger in strangers:
            stack.run(["virsh", "-c", stack.env()["HEARTH_LIBVIRT_URI"], "destroy", f"hearth-{name}x-{stranger}"])


def slots_of(stack, user):
    """The instances of a user that Redis knows of."""
    server = redis.Redis(unix_socket_path=stack.env()["HEARTH_REDIS"].removeprefix("unix:"))
    return {slot.decode().split("/")[0] for slot in server.hkeys(f"u:{{{user}}}:slots")}


def test_a_full_disk_holds_up_new_machines_only_and_says_so(stack, client, own):
    """The run folder lies on a file system of its own, in which no folder can be made any more."""
    if os.geteuid() != 0:
        pytest.skip("an ordinary user cannot mount one")
    place = pathlib.Path(temporary_folder())
    (place / "run").mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "mode=711,nr_inodes=200", "hearth-test", str(place / "run")]
    subprocess.run(words, check=True)
    try:
        # libvirtd sees mounts that are older than itself.
        restart_libvirtd(stack, signal.SIGTERM)
        # Without shells, which have their folders already.
        executor = own("full", place=place, profile={"shells": 0}, concurrent_starts=1).start().ready()
        deploy_for(stack, executor, "full1", "full2")
        warm = ok_once(client, [ask(client, "holds", "full1", {})])
        until(lambda: " is in use" in executor.text(), executor.text)   # what is tried before gives room back
        executor.settled()
        filling = place / "run" / "filling"
        filling.mkdir()
        with pytest.raises(OSError, match="No space left on device"):
            for number in range(1000):
                (filling / str(number)).touch()
        waits = ask(client, "holds", "full2", {})
        executor.not_ready("o space left on device")  # of a folder, or of a socket, which is spelt small
        again = ok_once(client, [ask(client, "holds", "full1", {})])
        assert {each["instance"] for each in again.values()} == {each["instance"] for each in warm.values()}
        shutil.rmtree(filling)
        ok_once(client, [waits])
        executor.ready()
        assert "condemned" not in executor.text(), "a full disk says nothing of the template"
        executor.leaves_nothing()
    finally:
        subprocess.run(["umount", "-l", str(place / "run")], check=True)   # it goes with the executor


def test_a_full_state_folder_costs_a_proof_and_nothing_else(stack, client, own):
    if os.geteuid() != 0:
        return
    place = pathlib.Path(temporary_folder())
    (place / "state").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "hearth-test", str(place / "state")], check=True)
    try:
        with pytest.raises(OSError, match="No space left on device"):
            (place / "state" / "filling").write_bytes(b"x" * 8192)
        executor = own("stateless", place=place).start().ready()
        deploy_for(stack, executor, "stateless")
        ok_once(client, [ask(client, "holds", "stateless", {})])
        executor.leaves_nothing()
    finally:
        subprocess.run(["umount", "-l", str(place / "state")], check=True)


def usage_of(executor):
    """What a process holds: descriptors, threads, memory in MiB."""
    proc = pathlib.Path("/proc") / str(executor.process.pid)
    rss = next(line for line in (proc / "status").read_text().splitlines() if line.startswith("VmRSS"))
    return {"descriptors": len(list((proc / "fd").iterdir())), "threads": len(list((proc / "task").iterdir())),
            "rss_mib": int(rss.split()[1]) / 1024}


def spin():
    """How long a fixed piece of work takes now: what the host's load does to every figure of the same moment."""
    begin = time.monotonic()
    sum(range(3_000_000))
    return time.monotonic() - begin


def cycles(stack, client, own, count):
    """User after user gets a machine, and loses it for want of room: nothing stays, and starts stay as fast."""
    name = f"cycle{count}"
    users = [f"{name}-{n}" for n in range(8)]
    # Room for two machines: every start of another user's evicts one.
    executor = own(name, memory_mib=1024, profile={"pool_min": 0, "pool_max": 0}).start().ready()
    deploy_for(stack, executor, *users)

    def turn(n):
        """Two users at once; each start in seconds."""
        answers = ok_once(client, [ask(client, "holds", users[(2 * n + k) % len(users)], {}) for k in range(2)]).values()
        return [(answer["started_us"] - answer["received_us"]) / 1e6 for answer in answers]

    turn(0), turn(1)   # what is allocated once is there now
    before, starts, spins = usage_of(executor), [], []
    for n in range(2, 2 + count // 2):
        starts += turn(n)
        spins += [spin(), spin()]
    executor.settled()
    after = usage_of(executor)
    assert after["descriptors"] <= before["descriptors"] + 4 and after["threads"] <= before["threads"], (before, after)
    assert after["rss_mib"] <= before["rss_mib"] * 1.25 + 8, (before, after)
    assert len({path.name for path in cgroups_of(f"-hearth-{name}-")}) <= 2
    until(lambda: sum(bool(slots_of(stack, user)) for user in users) <= 2, lambda: str([slots_of(stack, user) for user in users]))
    third = len(starts) // 3
    growth = statistics.median(starts[-third:]) / statistics.median(starts[:third])
    load = statistics.median(spins[-third:]) / statistics.median(spins[:third])
    print(f"{count} cycles: starts grew by {growth:.2f}, a fixed piece of work by {load:.2f}; {before} then {after}")
    assert min(growth, growth / load) <= 1.5, (growth, load, starts)
    executor.leaves_nothing()
    until(lambda: not any(slots_of(stack, user) for user in users), "slots stay in Redis")


def test_cycles_of_machines_leave_nothing_and_take_no_longer(stack, client, own):
    cycles(stack, client, own, int(os.environ.get("HEARTH_CYCLES", "18")))


@pytest.mark.nightly
def test_a_thousand_cycles_leave_nothing_and_take_no_longer(stack, client, own):
    cycles(stack, client, own, 1000)
