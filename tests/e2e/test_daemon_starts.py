"""What a daemon says where something at its start is not as the configuration has it: the address or the key, and once.
And executors that share one file, as containers of one service do."""

import re
import socket
import subprocess

import pytest

from support import Daemon, Executor, get, to_toml, until

DAEMONS = {"hearth-dispatcher": "dispatcher", "hearth-executor": "executor-1"}
UNKNOWN = "no-such-host.invalid"


@pytest.fixture
def make(stack, place):
    """Makes daemons, and ends those that were started."""
    made = []

    def one(program, name, **changes):
        if program == "hearth-executor":
            daemon = Executor(stack, place, name, profile={"shells": 0}, changes=changes, start="boot")
        else:
            topics = {topic: f"{name}.{topic}" for topic in ("rt", "std", "batch")}   # the stack's are its own to read
            daemon = Daemon(stack, place, program, DAEMONS[program], id=name, topics=topics, **changes)
        made.append(daemon)
        return daemon

    yield one
    for daemon in made:
        daemon.discard()


def ends(daemon, code, *said, env=None):
    """The daemon ends by itself, with this code and these words."""
    path = daemon.place / "starts.toml"
    path.write_text(to_toml(daemon.config) + "\n")
    done = subprocess.run([daemon.program, "--config", str(path)], env={**daemon.stack.env(), **(env or {})}, timeout=60,
                          capture_output=True, text=True, check=False)
    text = done.stdout + done.stderr
    assert done.returncode == code, text
    for words in said:
        assert words in text, text


@pytest.mark.parametrize("program", DAEMONS)
def test_a_port_in_use_ends_the_start_and_names_the_key(make, program):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        daemon = make(program, "taken")
        daemon.config["http"] = address
        ends(daemon, 1, f"cannot serve http at {address}: Address already in use")


def test_an_address_of_the_link_in_use_ends_the_executor_and_names_the_key(make, stack):
    with socket.socket(socket.AF_UNIX) as taken:
        daemon = make("hearth-executor", "taken")
        path = daemon.place / "taken.sock"
        taken.bind(str(path))
        taken.listen()
        daemon.config["listen"] = f"unix:{path}"
        ends(daemon, 1, f"listen: cannot listen at unix:{path}: address already in use")


def test_folders_that_cannot_be_made_are_named(make, place):
    (place / "file").write_text("")
    for key in ("state_dir", "run_dir"):
        daemon = make("hearth-executor", "nowhere")
        daemon.config[key] = f"{place}/file/folder"
        ends(daemon, 1, f"{key}: cannot make {place}/file/folder")


def test_an_embedded_libvirt_that_cannot_start_ends_the_executor(make):
    """It cannot be started in one process twice."""
    daemon = make("hearth-executor", "hopeless")
    daemon.config["machines"]["libvirt"] = "qemu:///embed?root=/dev/null/libvirt"
    ends(daemon, 1, "libvirt=qemu:///embed?root=/dev/null/libvirt cannot be started in this process", "/dev/null/libvirt/", "HOME")


@pytest.mark.parametrize("program", DAEMONS)
def test_a_redis_whose_name_nobody_knows_is_told_once(make, program):
    daemon = make(program, "nameless")
    daemon.config["redis"] = {"address": f"tcp:{UNKNOWN}:6379"}
    daemon.start()
    told = f"redis=tcp:{UNKNOWN}:6379 away"
    until(lambda: told in daemon.text(), daemon.text)
    daemon.not_ready("redis: ")
    assert UNKNOWN in next(line for line in daemon.text().splitlines() if told in line).partition("away")[2]


@pytest.mark.parametrize("program", DAEMONS)
def test_a_wrong_password_of_redis_is_told_once_with_its_keys(make, place, program):
    (place / "password").write_text("not-the-one\n")
    daemon = make(program, "stranger")
    daemon.config["redis"]["password_file"] = str(place / "password")
    daemon.config["redis"].setdefault("user", "hearth")
    daemon.start()
    until(lambda: "away: " in daemon.text(), daemon.text)
    tries = until(lambda: refusals(daemon.stack) or None, "Redis does not count what it refuses")
    until(lambda: refusals(daemon.stack) >= tries + 3, "it does not try again")
    lines = [line for line in daemon.text().splitlines() if "redis=" in line and "away: " in line]
    assert len(lines) == 1, daemon.text()
    assert "refuses the account" in lines[0] and "redis.user" in lines[0] and "redis.password_file" in lines[0], lines


def refusals(stack):
    """How many logins Redis has refused so far."""
    address = stack.env()["HEARTH_REDIS"].removeprefix("unix:")
    done = subprocess.run(["redis-cli", "-s", address, "info", "commandstats"], capture_output=True, text=True, check=True)
    found = re.search(r"cmdstat_auth:.*failed_calls=(\d+)", done.stdout)
    return int(found[1]) if found else 0


@pytest.mark.parametrize("program", DAEMONS)
def test_a_kafka_whose_name_nobody_knows_is_told(make, program):
    daemon = make(program, "lonely")
    daemon.config["kafka"]["bootstrap"] = f"{UNKNOWN}:9092"
    daemon.start()
    told = f"kafka at {UNKNOWN}:9092: topic hearth.functions cannot be read yet"
    until(lambda: told in daemon.text(), daemon.text)
    assert f"by the name '{UNKNOWN}'" in next(line for line in daemon.text().splitlines() if told in line), daemon.text()


def test_executors_that_share_one_file_are_found_under_the_addresses_they_advertise(make, stack, place):
    """As containers of one service: each has a name by its environment, listens at every address, and no dispatcher is
    told of it."""
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, 1)
    except OSError:
        pytest.skip(f"this host does not know its own name, {name}")
    secret = place / "link-secret"
    secret.write_text("s" * 32 + "\n")
    secret.chmod(0o600)
    link = {"secret_file": str(secret), "allow_plain": True}
    executors = []
    for number in ("1", "2"):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        folder = place / number
        folder.mkdir()
        executor = Executor(stack, folder, "scaled", profile={"shells": 0}, start="boot",
                            changes={"link": link, "advertise": "tcp:${SCALED_HOST}:${SCALED_PORT}"})
        executor.config.update(id="scaled-${SCALED_NUMBER}", listen="tcp:0.0.0.0:${SCALED_PORT}")
        executor.env = {"SCALED_HOST": name, "SCALED_PORT": str(port), "SCALED_NUMBER": number}
        executors.append(executor)
    dispatcher = make("hearth-dispatcher", "finder", link={**link, "executors": []})
    try:
        for executor in executors:
            executor.start()
        dispatcher.start()
        for number in ("1", "2"):
            until(lambda wanted=f"executor=scaled-{number} ": wanted in dispatcher.text(), dispatcher.text)
        until(lambda: "executors: ok" in get(dispatcher.address, "/readyz")[1], dispatcher.text)
        shown = stack.run(["hearth", "ps"]).stdout
        for executor in executors:
            assert f"address=tcp:{name}:{executor.env['SCALED_PORT']}" in shown, shown
    finally:
        for executor in executors:
            executor.discard()
