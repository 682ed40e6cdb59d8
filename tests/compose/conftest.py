"""The compose stack on a real engine, brought up once, under a project, ports and tags of its own."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))
COMPOSE = ROOT / "compose"
PORTS = ("HEARTH_KAFKA_PORT", "HEARTH_DISPATCHER_PORT", "HEARTH_PROMETHEUS_PORT", "HEARTH_GRAFANA_PORT", "HEARTH_UI_PORT",
         "HEARTH_KAFKA_2_PORT", "HEARTH_KAFKA_3_PORT", "HEARTH_DISPATCHER_2_PORT")


def pytest_configure(config):
    config.addinivalue_line("markers", "variant: the stack in another shape; each takes a minute and more, and memory")


def pytest_collection_modifyitems(config, items):
    if not config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("variant")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def free_ports(count):
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Stack:
    """The files of compose/, run by either compose."""

    def __init__(self, folder, project="hearth-test"):
        self.project = project
        self.ports = dict(zip(PORTS, map(str, free_ports(len(PORTS)))))
        # The secrets of a user's own DOCKER_CONFIG are nobody's business here; compose v2 is a plugin in it.
        plugins = folder / "docker" / "cli-plugins"
        plugins.mkdir(parents=True)
        v2 = os.environ.get("HEARTH_COMPOSE_V2", "")
        self.has_v2 = bool(v2) and os.access(v2, os.X_OK)
        if self.has_v2:
            shutil.copy(v2, plugins / "docker-compose")
        empty = folder / "empty"
        empty.mkdir()
        self.config = {1: str(empty), 2: str(plugins.parent)}
        self.has_v1 = shutil.which("docker-compose") is not None

    def environment(self, version, **more):
        return os.environ | self.ports | {"COMPOSE_PROJECT_NAME": self.project, "HEARTH_TAG": "test",
                                          "DOCKER_CONFIG": self.config[version]} | more

    def run(self, *words, version=0, check=True, cwd=ROOT, timeout=900, input=None, **more):
        version = version or (2 if self.has_v2 else 1)
        done = subprocess.run([str(word) for word in words], env=self.environment(version, **more), cwd=cwd, timeout=timeout,
                              input=input, capture_output=True)
        if check:
            assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout.decode()[-2000:]}\n{done.stderr.decode()[-4000:]}"
        return done

    def stack(self, *words, **more):
        return self.run(COMPOSE / "stack", *words, **more)

    def hearth(self, *words, **more):
        return self.run(COMPOSE / "hearth", *words, **more)

    def compose(self, *words, version=0, beside=(), **more):
        """`beside`: further files of compose/, e.g. "kvm"."""
        version = version or (2 if self.has_v2 else 1)
        program = ["docker", "compose"] if version == 2 else ["docker-compose"]
        files = [word for name in ("", *(f".{each}" for each in beside)) for word in ("-f", COMPOSE / f"docker-compose{name}.yml")]
        return self.run(*program, "--project-directory", COMPOSE, *files, *words, version=version, **more)

    def containers(self, service=None):
        words = ["docker", "ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}"]
        if service:
            words += ["--filter", f"label=com.docker.compose.service={service}"]
        ids = self.run(*words).stdout.decode().split()
        return json.loads(self.run("docker", "inspect", *ids).stdout) if ids else []

    def container(self, service):
        return next(one for one in self.containers(service) if one["State"]["Running"])

    def bootstrap(self):
        return f"127.0.0.1:{self.ports['HEARTH_KAFKA_PORT']}"

    def dispatcher(self):
        return f"127.0.0.1:{self.ports['HEARTH_DISPATCHER_PORT']}"

    def healthy(self, service):
        return all(one["State"].get("Health", {}).get("Status") == "healthy" for one in self.containers(service))

    def left(self):
        """What of this project is there, by kind."""
        label = f"label=com.docker.compose.project={self.project}"
        kinds = {"container": ["ps", "-aq"], "network": ["network", "ls", "-q"], "volume": ["volume", "ls", "-q"]}
        return {kind: self.run("docker", *words, "--filter", label).stdout.decode().split() for kind, words in kinds.items()}


def until(holds, what, deadline_s=120):
    end = time.monotonic() + deadline_s
    while not (found := holds()):
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(0.5)   # to ask is a process of Docker's
    return found


def page(address, path):
    with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
        return answer.read().decode()


@pytest.fixture(scope="session")
def bare(tmp_path_factory):
    """The files and what runs them; nothing is started."""
    stack = Stack(tmp_path_factory.mktemp("compose"))
    yield stack
    if any(stack.left().values()):
        stack.stack("down", "--purge", check=False)


def break_off(stack, how):
    """Ends an `up` as soon as Kafka's container is there."""
    with subprocess.Popen([COMPOSE / "stack", "up", "--build"], env=stack.environment(2 if stack.has_v2 else 1), cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True) as up:
        until(lambda: stack.containers("kafka") or up.poll() is not None, "no container of Kafka", 900)
        assert up.poll() is None, up.stdout.read().decode()
        os.killpg(up.pid, how)
        return up.communicate(timeout=120)[0].decode()


@pytest.fixture(scope="session")
def stack(bare):
    bare.stack("down", "--purge")
    break_off(bare, signal.SIGKILL)   # leaves what a crash leaves; the next `up` goes on from there
    began = time.monotonic()
    done = bare.stack("up", "--observe", "--ui", "--build")
    print(f"\nfrom nothing to ready: {time.monotonic() - began:.0f} s\n{done.stderr.decode()[-1500:]}")
    return bare
