"""One user does something extreme. Another user's requests are served as if it were quiet, memory stays within its bounds, nothing is
lost, and nothing is repeated where nothing that tells of it was taken away. Machines are simulated, Kafka is real."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from conftest import running_stack, temporary_folder
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import ConfigResource
from flooding import Apart, World, delete_records, is_as_if_quiet, memory_group, peak_bytes
from support import Daemon, Simulated, get, metric, pid_alive, until

REQUESTS = 8                      # of the other user, before and during
HELD = 256                        # of a lane in a partition (dispatcher/core/backlog.h)
ONE_PARTITION = {"key": "one"}    # so that few records are more than a lane holds
PIECES, PIECE = 2_100, 13        # of a partition: more, and over more offsets, than a commit has room for (ledger_map.h)
MOST_BYTES = 300 << 20            # of a dispatcher


def simulate(**wish):
    return json.dumps({"simulate": wish}).encode()


@pytest.fixture(scope="module")
def stack():
    with running_stack("--simulated", HEARTH_SIMULATED='seed = 1\nrun = "4"') as stack:
        yield stack


@pytest.fixture
def apart(stack, place):
    """Makes a dispatcher with topics of its own."""
    made = []

    def make(name, **counts):
        made.append(Apart(stack, place, name, **counts))
        return made[-1]

    yield make
    for each in made:
        each.daemon.discard()


@pytest.fixture
def late(stack):
    """Starts an executor with a profile that nobody had before: what waited for it can be placed."""
    made = []

    def start(profile):
        made.append(Simulated(stack, temporary_folder(), profile, changes={"simulated": {"seed": 1, "run": "1"}}))
        return made[-1].start()

    yield start
    for each in made:
        each.discard()
        shutil.rmtree(each.place, ignore_errors=True)


def flood_beside(world, count, least_parked=1, **flood):
    """Floods, and asks for the other user before and meanwhile; returns what was sent."""
    before = world.quiet(REQUESTS)
    sent = world.flood(count, **flood)
    until(lambda: (world.parked() or 0) >= least_parked, lambda: f"{world.parked()} parked", 30)
    during = world.quiet(REQUESTS)
    assert not all(one in world.replies.counts for one in sent), "the flood was over before it could be in the way"
    is_as_if_quiet(before, during)
    return sent


def conserved(world):
    """Every record is complete, or in flight."""
    return world.held("received") == world.held("complete") + world.held("in_flight")


def test_a_second_dispatcher_comes_and_goes(stack, place):
    """The first of the file: who takes partitions over waits for the lease of every executor that has just ended, and other tests end
    some."""
    world = World(stack, "shared")
    second = Daemon(stack, place, "hearth-dispatcher", "dispatcher", id="dispatcher-2")
    try:
        sent = world.flood(6_000, value=simulate(ms=40))
        until(lambda: world.parked() > 0, "nothing is parked")
        second.start().ready()
        until(lambda: world.held("partitions", second.address) > 0 and world.held("complete", second.address) > 0, second.text)
        during = world.quiet(REQUESTS)
        assert not all(one in world.replies.counts for one in sent), "the flood was over before it could be in the way"
        second.end()
        during += world.quiet(REQUESTS)
        assert max(during) < 5, during
        assert not all(one in world.replies.counts for one in sent), "the flood was over when the second one went"
        world.answered(sent)
    finally:
        second.discard()


# ---- What one user can send -------------------------------------------------------------------------------------------


def test_what_nobody_can_run_waits_and_is_answered_once_somebody_can(stack, late):
    world = World(stack, "unplaceable", warm=False, profile="comes-late")
    sent = flood_beside(world, 3 * HELD, 2 * HELD, **ONE_PARTITION)
    assert world.parked() == 2 * HELD and not any(one in world.replies.counts for one in sent)
    assert world.held("in_flight") == len(sent) and conserved(world)
    late("comes-late")
    world.answered(sent)
    until(lambda: world.held("in_flight") == 0 and conserved(world), "something is left")


def test_one_at_a_time(stack):
    world = World(stack, "one-at-a-time", concurrency=1)
    world.answered(flood_beside(world, 2 * HELD + 100, **ONE_PARTITION))


def test_every_attempt_fails(stack):
    world = World(stack, "failing", attempts=2)
    sent = flood_beside(world, 2 * HELD, value=simulate(fail=True), **ONE_PARTITION)
    world.answered(sent, ok=False)
    assert {record.headers["hearth-error-type"] for record in world.replies.bad} == {"SimulatedFailure"}
    assert {record.headers["hearth-attempt"] for record in world.replies.bad} == {"2"} and len(world.replies.bad) == len(sent)


def test_many_users_at_once(stack):
    users = [f"crowd-{number:03}" for number in range(200)]
    world = World(stack, users[0])
    copy_function(stack, world, users)
    before = world.quiet(REQUESTS)
    world.answered(world.flood(1, user=users[-1]))   # the registry has arrived
    sent = [world.flood_later(user, value=simulate(ms=40), key=user) for _ in range(10) for user in users]
    world.flushed()
    during = world.quiet(REQUESTS)
    # A machine for each of the 200 starts meanwhile, which takes both processors: 3 to 6 times were seen.
    is_as_if_quiet(before, during, times=12)
    world.answered(sent)


def copy_function(stack, world, users):
    """The first one's function is everybody's: the command for each of them would take longer than the test."""
    reader = Consumer({"bootstrap.servers": world.client.bootstrap, "group.id": "copy", "enable.auto.commit": False, "log_level": 0})
    reader.assign([TopicPartition("hearth.functions", 0, 0)])
    key = f"{users[0]}/witness".encode()
    record = until(lambda: next((each for each in reader.consume(100, 1) if each.key() == key), None), "there is no such function")
    reader.close()
    archives = pathlib.Path(stack.folder) / "code"
    for user in users[1:]:
        shutil.copytree(archives / f"u-{users[0]}", archives / f"u-{user}")
        world.client.producer.produce("hearth.functions", key=key.replace(users[0].encode(), user.encode()),
                                      value=record.value().replace(users[0].encode(), user.encode()))
    assert world.client.producer.flush(20) == 0


def test_records_as_large_as_they_may_be(stack):
    world = World(stack, "large", concurrency=1)
    world.answered(flood_beside(world, 150, value=b'"' + b"x" * ((1 << 20) - 1024) + b'"', **ONE_PARTITION))


def test_few_order_keys(stack):
    world = World(stack, "keyed")
    keys = [f"key-{number}" for number in range(3)]
    sent = flood_beside(world, 3 * HELD, order_key=lambda number: keys[number % len(keys)], **ONE_PARTITION)
    world.answered(sent)


def test_all_places_are_taken_by_runs_that_take_long(stack):
    world = World(stack, "long-runs", warm=False)   # nobody knows how long its runs take
    before = world.quiet(REQUESTS)
    sent = world.flood(48, value=simulate(ms=2000))
    until(lambda: world.held("queued") > 0 and world.held("placed") > 1, "there is room for all of it")
    during = world.quiet(REQUESTS)
    assert not any(one in world.replies.counts for one in sent), "a place was free because a run had ended"
    is_as_if_quiet(before, during, longest_s=2)
    world.answered(sent)


# ---- What happens to the servers meanwhile ------------------------------------------------------------------------------


def truncate(apart):
    """Kafka deletes records of no topic that is only compacted."""
    resource = ConfigResource(ConfigResource.Type.TOPIC, apart.topics["ledger"], {"cleanup.policy": "compact,delete"})
    for altered in apart.admin.alter_configs([resource]).values():
        altered.result()
    ends = {number: end for number, (_, end, _) in enumerate(apart.offsets("ledger"))}
    delete_records(apart.bootstrap, apart.topics["ledger"], ends)
    assert all(start == end for start, end, _ in apart.offsets("ledger"))


def make_anew(apart):
    apart.delete("ledger")
    apart.create("ledger")


@pytest.mark.parametrize("harm", [pytest.param(None, marks=pytest.mark.nightly), pytest.param(truncate, marks=pytest.mark.nightly),
                                  make_anew])
def test_a_ledger_that_is_gone_costs_repeated_runs_at_most(stack, apart, late, harm):
    name = f"ledger-{harm.__name__ if harm else 'kept'}"
    each = apart(name, partitions=1)
    each.daemon.start().ready()
    world = World(stack, name, f"{name}-quiet", each.daemon, each.topics["std"], warm=False, profile=name)
    waits, done = [], []
    for _ in range(PIECES):
        waits.append(world.flood_later(world.loud))
        done.append(world.flood_later(world.quiet_user))
        done += [world.flood_later("past", expires="1") for _ in range(PIECE - 2)]   # is answered without a run
    world.flushed()
    world.answered(done, ok=False)
    until(lambda: world.held("pages_written") > 0 and world.held("in_flight") == len(waits), each.daemon.text, 30)
    assert world.parked() > len(waits) / 2 and each.offsets("ledger")[0][1] > 0
    if harm:
        harm(each)
    each.daemon.kill()
    each.daemon.start()
    late(name)
    world.replies.until(lambda: all(one in world.replies.counts for one in waits), 60)
    world.quiet(1)
    until(lambda: world.held("in_flight") == 0 and conserved(world), each.daemon.text, 30)
    world.replies.read(1)
    assert all(world.replies.counts[one] == 1 for one in waits), "what nothing says to be complete runs once"
    again = [number for number, one in enumerate(done) if world.replies.counts[one] > 1]
    print(f"{len(again)} of {len(done)} were answered again")
    if harm:   # what the commit itself tells of is not repeated
        assert again and again[0] > len(done) / 2, (len(again), again[:1])
    else:
        assert not again, (len(again), again[:1])


def test_request_topics_with_different_numbers_of_partitions(stack, apart):
    each = apart("uneven", partitions=4, rt=2)
    each.daemon.start().ready()
    world = World(stack, "uneven", "uneven-quiet", each.daemon, each.topics["std"], concurrency=1)
    until(lambda: "with different numbers a user has several owners" in get(each.daemon.address, "/readyz")[1],
          lambda: get(each.daemon.address, "/readyz")[1])
    assert f"{each.topics['rt']} has 2" in get(each.daemon.address, "/readyz")[1]
    sent = flood_beside(world, 2 * HELD, topic=each.topics["rt"], **ONE_PARTITION)
    world.answered(sent)


def test_parked_records_that_are_deleted_are_counted_and_hold_nothing_up(stack, apart):
    each = apart("deleted", partitions=2)
    each.daemon.start().ready()
    world = World(stack, "deleted", "deleted-quiet", each.daemon, each.topics["std"], concurrency=2)
    sent = world.flood(4 * HELD, **ONE_PARTITION)
    until(lambda: world.parked() > 2 * HELD, lambda: f"{world.parked()} parked", 30)
    partition, end = max(enumerate(end for _, end, _ in each.offsets("std")), key=lambda one: one[1])
    delete_records(each.bootstrap, each.topics["std"], {partition: end - HELD})
    times = world.quiet(REQUESTS)
    assert max(times) < 5, times
    until(lambda: (world.replies.read(0.01), world.held("in_flight") == 0 and conserved(world))[1], each.daemon.text)
    world.replies.read(1)
    answered = [one for one in sent if one in world.replies.counts]
    lost = world.held("lost")
    assert lost >= HELD and len(answered) + lost == len(sent), (len(answered), lost, len(sent))
    assert set(sent[-HELD:]) <= set(answered), "what lies above the log's start is answered"
    assert not world.replies.bad and all(world.replies.counts[one] == 1 for one in answered)
    assert "parked_records_lost" in each.daemon.text()
    until(lambda: all(commit in (end, -1001) for _, end, commit in each.offsets("std")), lambda: str(each.offsets("std")))


def test_a_host_whose_processors_are_taken(stack):
    world = World(stack, "beside-loops", concurrency=1)
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * len(os.sched_getaffinity(0)))]
    try:
        sent = flood_beside(world, 2 * HELD, **ONE_PARTITION)
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    world.answered(sent)


@pytest.mark.parametrize("bounded", [False, True])
def test_memory_is_short(stack, apart, bounded):
    group = memory_group(f"hearth-test-{os.getpid()}", MOST_BYTES) if bounded else None
    if bounded and group is None:
        pytest.skip("HEARTH_TEST_CGROUP names no folder in which a control group may be made")
    each = apart(f"short-{int(bounded)}", partitions=4)
    try:
        each.daemon.start().ready()
        if group:
            (group / "cgroup.procs").write_text(str(each.daemon.process.pid))
        world = World(stack, each.name, f"{each.name}-quiet", each.daemon, each.topics["std"])
        sent = flood_beside(world, 400, value=b'"' + b"x" * ((1 << 20) - 1024) + b'"')
        world.answered(sent)
        assert each.daemon.process.poll() is None and peak_bytes(each.daemon.process.pid) <= MOST_BYTES
    finally:
        each.daemon.discard()
        if group:
            group.rmdir()


# ---- The same, much larger ------------------------------------------------------------------------------------------------


@pytest.mark.nightly
@pytest.mark.parametrize("case, records", [("unplaceable", 100_000), ("concurrency", 10_000), ("failing", 20_000),
                                           ("users", 50_000), ("large", 1_000), ("keyed", 20_000)])
def test_a_large_flood_of_each_kind(empty_stack, case, records):
    waits = ["--most-seconds", "30" if case == "unplaceable" else "600"]
    done = empty_stack.dev("bench", "flood", "--case", case, "--records", str(records), *waits, "--json", timeout=1200)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout)
    flood = figures["flood"]
    assert (flood["lost"], flood["repeated"], flood["unread"]) == (0, 0, 0), flood
    assert flood["answered"] + flood["left"] == flood["sent"] == records, flood
    assert flood["left"] == (records if case == "unplaceable" else 0), flood
