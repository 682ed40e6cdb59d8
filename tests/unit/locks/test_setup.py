"""What `tools/dev setup` takes from outside and leaves behind: Kafka's jars, and policy-rc.d while packages are installed.

The functions of tools/dev.d run over a tree of the test's own. mvn, apt-get, sudo and id are small scripts of the test.
"""
import os
import signal
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


class Host:
    """A tree with tools/dev.d and a lock, and programs that stand before those of the system."""

    def __init__(self, folder):
        self.folder, self.tree, self.programs = folder, folder / "tree", folder / "bin"
        self.lock, self.policy = self.tree / "tools/kafka/jars.lock", folder / "policy-rc.d"
        for path in (self.lock.parent, self.programs, folder / "jars", folder / "state/logs"):
            path.mkdir(parents=True)
        (self.tree / "tools/dev.d").symlink_to(ROOT / "tools/dev.d")
        (self.lock.parent / "pom.xml").write_text("<project/>")
        for name in ("a-1.jar", "b-2.jar"):
            (folder / "jars" / name).write_text(f"the bytes of {name}")
        # The folder is the argument -DoutputDirectory=….
        self.program("mvn", f'for word; do case $word in -DoutputDirectory=*) cp {folder}/jars/*.jar "${{word#*=}}" ;; esac; done; '
                            f'echo fetched >> {folder}/fetched')
        self.be(root=True)

    def program(self, name, text):
        path = self.programs / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)

    def be(self, root):
        self.program("id", f"echo {0 if root else 1000}")
        self.program("sudo", f'echo "$*" >> {self.folder}/sudo; exec "$@"')

    def start(self, commands):
        """Runs commands with the functions of tools/dev.d, as tools/dev does."""
        script = f'set -euo pipefail; ROOT={self.tree}; . "$ROOT/tools/dev.d/lib.sh"; . "$ROOT/tools/dev.d/setup.sh"; {commands}'
        environment = {**os.environ, "PATH": f"{self.programs}:{os.environ['PATH']}", "HEARTH_STATE": str(self.folder / "state"),
                       "HEARTH_CACHE": str(self.folder / "cache"), "HEARTH_POLICY": str(self.policy)}
        return subprocess.Popen(["bash", "-c", script], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, commands):
        process = self.start(commands)
        output, _ = process.communicate(timeout=60)
        return process.returncode, output

    def kafka(self, renew=0):
        return self.run(f"RENEW_LOCK={renew}; setup_kafka")

    def kept(self):
        return next((self.folder / "cache").glob("kafka-*"))

    def fetches(self):
        return len((self.folder / "fetched").read_text().split())

    def packages(self):
        return "missing_packages() { echo one; }; SETUP_DEV=0; setup_packages"

    def apt(self, text):
        """An apt-get that downloads without a word; the text says what else it does."""
        self.program("apt-get", f'case "$*" in *--download-only*) exit 0 ;; esac\n{text}')


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


@pytest.fixture
def locked(host):
    assert host.kafka(renew=1)[0] == 0
    assert host.kafka() == (0, f"   kafka: in {host.kept()}\n")
    assert host.fetches() == 1
    return host


def change(path):
    path.write_text(path.read_text().replace("bytes", "bytez"))


def test_a_jar_with_one_changed_byte_is_refused_and_fetched_again(locked):
    change(locked.kept() / "a-1.jar")
    code, output = locked.kafka()
    assert code != 0 and "not as locked: a-1.jar" in output and "b-2.jar" not in output
    assert locked.kafka()[0] == 0
    assert locked.fetches() == 2


def test_kafka_is_not_started_with_a_jar_that_has_changed_since(locked):
    (locked.tree / "compose/kafka").mkdir(parents=True)
    (locked.tree / "compose/kafka/server.properties").touch()
    (locked.folder / "state/kafka").mkdir()
    (locked.folder / "state/kafka/meta.properties").touch()   # the storage is there already
    start = '. "$ROOT/tools/dev.d/stack.sh"; launch() { echo "launched $1"; }; KAFKA_PORT=1 KAFKA_CONTROLLER_PORT=2; up_kafka'
    assert locked.run(start) == (0, "launched kafka\n")
    change(locked.kept() / "a-1.jar")
    code, output = locked.run(start)
    assert code != 0 and "not as locked: a-1.jar" in output and "launched" not in output


def test_a_jar_that_is_too_many_or_missing_is_refused(locked):
    (locked.kept() / "c-3.jar").write_text("of nobody")
    code, output = locked.kafka()
    assert code != 0 and "not as locked: c-3.jar" in output
    assert locked.kafka()[0] == 0
    (locked.kept() / "b-2.jar").unlink()
    code, output = locked.kafka()
    assert code != 0 and "in the lock: b-2.jar" in output


def test_other_jars_from_maven_are_refused_each_time_and_never_marked_complete(locked):
    change(locked.folder / "jars/a-1.jar")
    (locked.kept() / ".complete").unlink()
    for _ in range(2):
        code, output = locked.kafka()
        assert code != 0 and "not as locked: a-1.jar" in output
        assert not (locked.kept() / ".complete").exists()


def test_only_renew_lock_changes_the_lock(locked):
    before = locked.lock.read_bytes()
    change(locked.folder / "jars/a-1.jar")
    (locked.kept() / ".complete").unlink()
    assert locked.kafka()[0] != 0
    assert locked.lock.read_bytes() == before
    assert locked.kafka(renew=1)[0] == 0
    assert locked.lock.read_bytes() != before
    assert locked.kafka()[0] == 0


def test_without_a_lock_nothing_is_believed(locked):
    for text in (None, ""):
        locked.lock.unlink() if text is None else locked.lock.write_text(text)
        assert locked.kafka()[0] != 0


@pytest.mark.parametrize("root", [True, False], ids=["root", "sudo"])
@pytest.mark.parametrize("fails", ["nothing", "update", "install"])
def test_packages_start_no_servers_and_nothing_of_that_is_left(host, root, fails):
    host.be(root)
    host.apt(f'case "$*" in *install*) {host.policy}; echo $? > {host.folder}/policy-said ;; esac\n'
                            f'case "$*" in *{fails}*) exit 100 ;; esac')
    code, output = host.run(host.packages())
    assert (code == 0) == (fails == "nothing"), output
    assert not host.policy.exists()
    if fails != "update":
        assert (host.folder / "policy-said").read_text() == "101\n"
    assert (host.folder / "sudo").exists() == (not root)


@pytest.mark.parametrize("root", [True, False], ids=["root", "sudo"])
def test_an_interrupted_setup_leaves_no_policy(host, root):
    host.be(root)
    host.apt(f'case "$*" in *install*) mkfifo {host.folder}/gate; '
                            f'touch {host.folder}/there; read < {host.folder}/gate ;; esac')
    process = host.start(host.packages())
    while not (host.folder / "there").exists():
        assert process.poll() is None
    assert host.policy.exists()
    process.send_signal(signal.SIGTERM)
    (host.folder / "gate").write_text("go\n")
    process.communicate(timeout=60)
    assert not host.policy.exists()


def test_a_policy_of_the_host_stays_as_it_is(host):
    host.policy.write_text("the host's own")
    host.apt('case "$*" in *install*) exit 100 ;; esac')
    for before in ("", "trap true EXIT; "):   # whatever else is to be done at the end
        assert host.run(before + host.packages())[0] != 0
        assert host.policy.read_text() == "the host's own"
    host.apt("true")
    assert host.run("trap true EXIT; " + host.packages())[0] == 0
    assert host.policy.read_text() == "the host's own"
