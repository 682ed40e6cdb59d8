"""What the end-to-end tests share: tools/dev as a command, and a stack of their own in a temporary folder."""

import contextlib
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile

import pytest

from client import Client

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEV = ROOT / "tools" / "dev"


def pytest_configure(config):
    config.addinivalue_line("markers", "nightly: takes minutes; tools/dev test --ring nightly")


def pytest_collection_modifyitems(config, items):
    """What is for the night runs only where it is asked for."""
    if not config.getoption("-m"):
        nightly = [item for item in items if item.get_closest_marker("nightly")]
        config.hook.pytest_deselected(items=nightly)
        items[:] = [item for item in items if item not in nightly]


class Stack:
    """One stack of tools/dev: its state folder, and its chores."""

    def __init__(self, folder, **settings):
        self.folder = pathlib.Path(folder)
        self.settings = {"HEARTH_STATE": str(folder), **settings}

    def dev(self, *words, timeout=600, **settings):
        """Runs a chore; gives back exit code, stdout and stderr."""
        environment = {**os.environ, **self.settings, **settings}
        return subprocess.run(
            [str(DEV), *words], env=environment, text=True, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL
        )

    def up(self, *words, **settings):
        done = self.dev("up", *words, **settings)
        assert done.returncode == 0, done.stderr
        return done

    def down(self):
        return self.dev("down", "--purge")

    def env(self):
        """The assignments that `tools/dev env` prints, over the environment of the tests."""
        done = self.dev("env")
        assert done.returncode == 0, done.stderr
        lines = subprocess.run(
            ["bash", "-c", done.stdout + "\nenv -0"], text=True, capture_output=True, check=True, env={**os.environ, **self.settings}
        ).stdout
        return dict(entry.split("=", 1) for entry in lines.split("\0") if "=" in entry)

    def run(self, command, timeout=120, **kwargs):
        """Runs a command (words, or one line of shell words) with the stack's environment."""
        words = shlex.split(command) if isinstance(command, str) else command
        return subprocess.run(words, env=self.env(), text=True, capture_output=True, timeout=timeout, **kwargs)

    def pids(self):
        """Process ids by name, as recorded by `up`."""
        return {file.name: int(file.read_text().split()[0]) for file in (self.folder / "pids").glob("*")}

    def processes(self):
        """Every living process of this machine that names the stack's folders in its command line."""
        needles = [str(self.folder).encode(), self.run_folder().encode()]
        found = {}
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if any(needle in command for needle in needles):
                found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
        return found

    def run_folder(self):
        """The folder of the stack's sockets; told by the chore itself while it is up, remembered afterwards."""
        if not hasattr(self, "_run_folder"):
            address = next(line for line in self.dev("env").stdout.splitlines() if "HEARTH_REDIS" in line)
            self._run_folder = address.split("unix:", 1)[1].rsplit("/", 1)[0]
        return self._run_folder


def temporary_folder():
    folder = tempfile.mkdtemp(prefix="hearth-e2e-", dir="/tmp")
    os.chmod(folder, 0o711)  # the accounts that machines run under pass through
    return folder


def keep_logs(stack):
    """Logs outlive the stack in $HEARTH_TEST_LOGS, where that is set."""
    target = os.environ.get("HEARTH_TEST_LOGS")
    if target and (stack.folder / "logs").is_dir():
        shutil.copytree(stack.folder / "logs", pathlib.Path(target) / stack.folder.name, dirs_exist_ok=True)


@contextlib.contextmanager
def running_stack(*up, **settings):
    """A stack that is up; it must go down without a fault, and leaves its logs where they are wanted."""
    stack = Stack(temporary_folder(), **settings)
    try:
        stack.up(*up)
        yield stack
    finally:
        keep_logs(stack)
        done = stack.down()
        shutil.rmtree(stack.folder, ignore_errors=True)
    assert done.returncode == 0, done.stderr


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


def deploy(stack, handler, user="alice", attempts=1, name=None, timeout_ms=None, profile="default"):
    timeout_ms = timeout_ms or (4000 if handler in ENDLESS else 30000)
    words = ["hearth", "--user", user, "deploy", name or handler, "--runtime", "python3", "--handler", f"hostile.{handler}",
             "--attempts", str(attempts), "--timeout-ms", str(timeout_ms), "--profile", profile, str(FUNCTIONS)]
    done = stack.run(words)
    assert done.returncode == 0, done.stderr
