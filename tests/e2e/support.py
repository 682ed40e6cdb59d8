"""What several files of end-to-end tests need: waiting, pages of daemons, domains, and daemons of a test's own."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import tomllib
import urllib.error
import urllib.request
from xml.etree import ElementTree

from client import new_id

DEADLINE_S = 120


def until(holds, what, deadline_s=DEADLINE_S):
    """Waits for a condition; gives back what it gave. `what` may be a function that tells more."""
    end = time.monotonic() + deadline_s
    while not (found := holds()):
        assert time.monotonic() < end, what() if callable(what) else what
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


def metric(address, name, **labels):
    """One value of a daemon's metrics; None where it is not there."""
    wanted = {f'{key}="{text}"' for key, text in labels.items()}
    for line in get(address, "/metrics")[1].splitlines():
        found = re.match(r"(\w+)(?:\{(.*)\})? (\S+)$", line)
        if found and found[1] == name and wanted <= set((found[2] or "").split(",")):
            return float(found[3])
    return None


def ask(client, function, user, payload=1, topic="hearth.invoke.std", **more):
    """A request whose reply is a map with all fields."""
    invocation = new_id()
    client.send(json.dumps({"id": invocation, "fn": function, "user": user, "in": payload, **more}).encode(),
                {"content-type": "application/json"}, topic=topic, key=user.encode())
    return invocation


def answered_once(client, invocations):
    """The replies of all, by id; none may have been answered twice."""
    answers = {invocation: client.reply(invocation, deadline_s=DEADLINE_S).json() for invocation in invocations}
    seen = [record.headers.get("hearth-id") for record in client.seen["hearth.reply"]]
    assert all(seen.count(invocation) == 1 for invocation in invocations)
    return answers


def domains(stack):
    """The names of the domains that run; those of this project and others."""
    listed = stack.run(["virsh", "-c", stack.env()["HEARTH_LIBVIRT_URI"], "list", "--name"])
    assert listed.returncode == 0, listed.stderr
    return set(listed.stdout.split())


def machines(stack, executor=""):
    """The names of the domains of one executor, or of all."""
    return {name for name in domains(stack) if name.startswith(f"hearth-{executor}")}


def instance_of(stack, domain):
    """The instance that a domain's mark names, or "". The domain's own name says nothing about it: a shell keeps its name when it is
    filled, and the mark follows a moment later."""
    mark = stack.run(["virsh", "-c", stack.env()["HEARTH_LIBVIRT_URI"], "metadata", domain, "--uri", "urn:hearth:machine:1"])
    return ElementTree.fromstring(mark.stdout).get("instance") if mark.returncode == 0 else ""


def qemu_of(domain):
    """The process of a domain, or None. Found by its command line: also while libvirt is away."""
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if f"guest={domain},".encode() in (entry / "cmdline").read_bytes():
                    return int(entry.name)
            except OSError:
                continue
    return None


def cgroups_of(text):
    """Control groups of machines whose name holds the text."""
    # Not by a pattern of pathlib, which fails where a group goes away while it is listed.
    return [pathlib.Path(folder, name) for folder, names, _ in os.walk("/sys/fs/cgroup") if folder.endswith("/machine")
            for name in names if text in name]


def to_toml(tree):
    """What the daemons' configurations need of TOML."""
    def value(each):
        return "[" + ", ".join(map(value, each)) + "]" if isinstance(each, list) else json.dumps(each)

    def is_tables(each):
        return isinstance(each, list) and each and isinstance(each[0], dict)

    lines = [f"{key} = {value(each)}" for key, each in tree.items() if not isinstance(each, dict) and not is_tables(each)]
    for key, each in tree.items():
        if isinstance(each, dict):
            lines += [f"[{key}]", to_toml(each)]
        elif is_tables(each):
            for table in each:
                lines += [f"[[{key}]]", to_toml(table)]
    return "\n".join(lines)


class Daemon:
    """A daemon of a test's own beside those of the stack: their configuration with changes, and folders of its own."""

    def __init__(self, stack, place, program, source, **changes):
        self.stack, self.place, self.program = stack, pathlib.Path(place), program
        self.config = tomllib.loads((stack.folder / "etc" / f"{source}.toml").read_text())
        self.config.update(http="127.0.0.1:0", **changes)
        if "decisions" in self.config:
            self.config["decisions"] = f"unix:{self.place}/decisions.sock"
        self.log = self.place / f"{self.config['id']}.log"
        self.process = None
        self.env = {}   # besides the stack's

    def start(self):
        path = self.place / f"{self.config['id']}.toml"
        path.write_text(to_toml(self.config) + "\n")
        self.log.write_text("")
        with self.log.open("w") as output:
            self.process = subprocess.Popen([self.program, "--config", str(path)], env={**self.stack.env(), **self.env}, stdout=output,
                                            stderr=output, stdin=subprocess.DEVNULL)
        port = until(lambda: next((word.split("=")[1] for line in self.log.read_text().splitlines()
                                   for word in line.split() if word.startswith("http=")), None) or self.process.poll(),
                     self.log.read_text)
        self.address = f"127.0.0.1:{port}"
        return self

    def text(self):
        return self.log.read_text()

    def ready(self):
        until(lambda: get(self.address, "/readyz")[0] == 200, lambda: str(get(self.address, "/readyz")) + self.text())
        return self

    def not_ready(self, named):
        until(lambda: get(self.address, "/readyz")[0] == 503 and named in get(self.address, "/readyz")[1],
              lambda: str(get(self.address, "/readyz")) + self.text())

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        """Asks it to end; it must do so with 0."""
        self.process.terminate()
        code = self.process.wait(timeout=DEADLINE_S)
        assert code == 0, (code, self.text())

    def discard(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.kill()


class Executor(Daemon):
    """An executor with one profile of its own, named as itself: what is deployed for it runs nowhere else."""

    def __init__(self, stack, place, name, profile=None, changes=None, **machines):
        super().__init__(stack, place, "hearth-executor", "executor-1", id=name, listen=f"unix:{place}/link.sock",
                         run_dir=f"{place}/run", state_dir=f"{place}/state", **(changes or {}))
        self.name = name
        self.config["machines"].update(machines)
        self.config["profile"] = [{**self.config["profile"][0], "name": name, "pool_min": 0, "pool_max": 0, **(profile or {})}]
        (self.place / "run").mkdir(exist_ok=True)
        (self.place / "state").mkdir(exist_ok=True)
        proof = stack.folder / "executor-1" / "acceleration.json"   # what was found out about this host holds here too
        if proof.exists() and self.config["state_dir"] == f"{place}/state":
            with contextlib.suppress(OSError):   # where it does not fit, it is found out once more
                shutil.copy(proof, self.place / "state")

    def held(self, what):
        return metric(self.address, "hearth_executor_held", what=what)

    def machines(self):
        return machines(self.stack, self.name + "-")

    def folders(self):
        """The folders of its machines."""
        return {path.name for path in (self.place / "run").iterdir() if re.fullmatch(r"m\d+", path.name)}

    def settled(self):
        """Waits until each domain has its folder and no other has, and gives back the domains; shells are domains too."""
        def tidy():
            names = self.machines()
            return self.held("starting_instances") == 0 and self.held("instances") <= len(names) == len(self.folders())

        until(tidy, lambda: f"{self.machines()} {self.folders()} {self.held('instances')}\n{self.text()[-3000:]}")
        return self.machines()

    def leaves_nothing(self, libvirtd_ended_by=None):
        """Ends, and nothing of it is left: no domain, process, folder, socket or control group. A libvirtd that ended
        while it started a domain cannot connect to it again; it ends the domain, which may take it 40 s where it was
        killed, and without the connection does not know its control group, so that an empty one stays
        (qemuRemoveCgroup). Nothing of the machine runs any more all the same."""
        self.end()
        if libvirtd_ended_by == signal.SIGKILL:
            assert not [name for name in self.machines() if qemu_of(name)], self.text()[-3000:]
            until(lambda: not self.machines(), self.text)
        else:
            assert not self.machines() and not self.folders(), self.text()[-3000:]
        left = cgroups_of(f"-hearth-{self.name}-")
        if libvirtd_ended_by:
            left = [path for path in left if (path / "cgroup.procs").read_text()]
        assert not left, left

    def discard(self):
        super().discard()
        for name in self.machines():   # of a life that was killed
            self.stack.run(["virsh", "-c", self.stack.env()["HEARTH_LIBVIRT_URI"], "destroy", name])


class Simulated(Executor):
    def machines(self):
        return set()   # there are no domains


def running(executor, count=1):
    until(lambda: (executor.held("running") or 0) >= count, lambda: f"{executor.held('running')} run\n{executor.text()[-3000:]}")


def pid_alive(pid):
    """False also for what has ended and was not yet taken note of by its parent."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def restart_libvirtd(stack, how):
    """Ends the stack's libvirtd by a signal, and starts it again."""
    pid = stack.pids()["libvirtd"]
    os.kill(pid, how)
    until(lambda: not pid_alive(pid), "libvirtd does not end")
    stack.up("--only", "libvirtd")
