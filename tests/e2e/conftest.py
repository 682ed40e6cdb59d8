"""What the end-to-end tests share: a stack of their own in a temporary folder, functions, a client."""

import pathlib
import shutil

import pytest

from client import Client
from stack import ROOT, Stack, keep_logs, running_stack, temporary_folder   # tests name some of them


def pytest_configure(config):
    config.addinivalue_line("markers", "nightly: takes minutes; tools/dev test --ring nightly")


def pytest_collection_modifyitems(config, items):
    """What is for the night runs only where it is asked for."""
    if not config.getoption("-m"):
        nightly = [item for item in items if item.get_closest_marker("nightly")]
        config.hook.pytest_deselected(items=nightly)
        items[:] = [item for item in items if item not in nightly]


@pytest.fixture
def empty_stack():
    """A stack that is not up yet; down and gone after the test."""
    stack = Stack(temporary_folder())
    yield stack
    keep_logs(stack)
    stack.down()
    shutil.rmtree(stack.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def stack():
    """The stack that all tests of daemons and machines share. It must go down without a trace."""
    with running_stack() as stack:
        yield stack


@pytest.fixture
def place():
    """A folder that the accounts of machines can pass through."""
    folder = pathlib.Path(temporary_folder())
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


FUNCTIONS = pathlib.Path(__file__).parent / "functions"
HANDLERS = ["witness", "prints", "forks", "eats", "sleeps", "exits", "nothing", "raises", "large", "waits"]
ENDLESS = {"sleeps", "forks"}   # only these are ended by their time; for the others it is long enough on a loaded host too


@pytest.fixture(scope="session")
def client(stack):
    for handler in HANDLERS:
        deploy(stack, handler)
    client = Client(stack.env()["HEARTH_BOOTSTRAP"])
    client.reply(client.request("witness", b"{}"))   # the registry has arrived everywhere
    return client


def deploy(stack, handler, user="alice", attempts=1, name=None, timeout_ms=None, profile="default", concurrency=0):
    timeout_ms = timeout_ms or (4000 if handler in ENDLESS else 30000)
    words = ["hearth", "--user", user, "deploy", name or handler, "--runtime", "python3", "--handler", f"hostile.{handler}",
             "--attempts", str(attempts), "--timeout-ms", str(timeout_ms), "--profile", profile, "--concurrency", str(concurrency),
             str(FUNCTIONS)]
    done = stack.run(words)
    assert done.returncode == 0, done.stderr
