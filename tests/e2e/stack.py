"""A stack of tools/dev for tests: its chores, its environment, and its whole life in a temporary folder."""

import contextlib
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEV = ROOT / "tools" / "dev"


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
