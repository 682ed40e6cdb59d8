"""One user floods every partition with far more than can run. What another user sends is answered as if it were quiet; what waits
of the flood is left in the log, and is answered to the last, each once, also where its dispatcher is killed in the middle."""

import os
import signal
import statistics

import pytest
from conftest import running_stack
from flooding import World
from support import Daemon, pid_alive, until


@pytest.fixture(scope="module")
def simulated():
    with running_stack("--simulated") as stack:
        yield World(stack)


@pytest.fixture(scope="module")
def real():
    with running_stack() as stack:
        yield World(stack)


def flood_beside(world, records, requests):
    """Times of the other user before and during the flood, of which some was parked."""
    before = world.quiet(requests)
    sent = world.flood(records)
    until(lambda: (world.parked() or 0) > 0, "nothing is parked")
    during = world.quiet(requests)
    assert not all(one in world.replies.counts for one in sent), "the flood was over before it could be in the way"
    assert any(one in world.replies.counts for one in sent), "the flood stands still"
    return before, during, sent


def test_a_flood_is_nobody_elses_problem(real):
    before, during, sent = flood_beside(real, 3_000, 15)
    assert statistics.median(during) <= 3 * statistics.median(before) and max(during) < 5, (before, during)
    real.answered(sent)


def test_what_is_parked_is_answered_to_the_last_and_once_although_its_dispatcher_is_killed(simulated, place):
    records = 40_000
    killed = simulated.stack.pids()["dispatcher"]
    os.kill(killed, signal.SIGKILL)
    until(lambda: not pid_alive(killed), "it does not end")
    again = Daemon(simulated.stack, place, "hearth-dispatcher", "dispatcher")
    try:
        again.start().ready()
        sent = simulated.flood(records)
        until(lambda: (simulated.parked(again.address) or 0) > records / 8, again.text)
        again.kill()
        again.start()
        slow, = simulated.quiet(1)
        assert slow < 10, slow   # with the group's session, on a host that has other work
        assert not all(one in simulated.replies.counts for one in sent), "the flood was over before it could be in the way"
        during = simulated.quiet(10)
        assert max(during) < 2, during
        simulated.answered(sent)
        until(lambda: simulated.parked(again.address) == 0, again.text)
    finally:
        again.discard()
        simulated.stack.up("--simulated")


@pytest.mark.nightly
def test_a_flood_on_real_machines_leaves_its_neighbours_times_as_they_were(real):
    before, during, sent = flood_beside(real, 15_000, 60)
    ordered = sorted(during)
    assert statistics.median(during) <= 3 * statistics.median(before) and ordered[-2] < 1, (before, during)
    real.answered(sent)
