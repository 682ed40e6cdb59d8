"""What stands in the way of a first `up` is told in a line that says how to mend it, and nothing half started stays."""

import os
import signal
import socket

import pytest
from conftest import COMPOSE, break_off


def told(stack, *words, **more):
    done = stack.stack(*words, check=False, timeout=120, **more)
    assert done.returncode == 1, done
    return done.stderr.decode()


def programs(folder, **scripts):
    """A PATH with these programs before the system's, without Docker's."""
    for name, text in scripts.items():
        path = folder / name.replace("_", "-")
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
    for name in ("bash", "sh", "sed", "sort", "head", "cut", "dirname", "readlink", "id", "cat", "awk", "tail", "env", "grep", "df", "stat"):
        if not (folder / name).exists():
            (folder / name).symlink_to(f"/usr/bin/{name}")
    return str(folder)


def test_no_docker_at_all(bare, tmp_path):
    said = told(bare, "up", PATH=programs(tmp_path))
    assert "there is no Docker" in said and "apt-get install docker.io" in said and "tools/dev demo" in said


def test_a_compose_that_is_too_old(bare, tmp_path):
    said = told(bare, "up", PATH=programs(tmp_path, docker_compose="echo 1.25.0"))
    assert "1.25.0" in said and "1.29.0 or newer" in said


@pytest.mark.parametrize("version", [1, 2])
def test_an_engine_that_does_not_answer(bare, version):
    if not (bare.has_v1, bare.has_v2)[version - 1]:
        pytest.skip(f"compose v{version} is not here")
    said = told(bare, "up", version=version, DOCKER_HOST="unix:///nonexistent/docker.sock")
    assert "no Docker engine answers at unix:///nonexistent/docker.sock" in said and "start it" in said


@pytest.mark.parametrize("variable", ["HEARTH_KAFKA_PORT", "HEARTH_DISPATCHER_PORT"])
def test_a_port_that_is_in_use(bare, variable):
    before = bare.left()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        said = told(bare, "up", **{variable: str(port)})
    assert f"port {port} is in use" in said and f"{variable}={port + 1}" in said
    assert bare.left() == before


def test_an_up_that_is_interrupted_stops_what_it_started(bare):
    said = break_off(bare, signal.SIGINT)
    assert "interrupted" in said and "stopped again" in said, said[-2000:]
    left = bare.left()
    assert not left["container"] and not left["network"], left


def test_kvm_where_it_cannot_be_used(bare):
    before = bare.left()
    if not os.path.exists("/dev/kvm"):
        assert "no /dev/kvm" in told(bare, "up", "--kvm")
    elif os.stat("/dev/kvm").st_mode & 0o060 != 0o060:
        assert "its group cannot open it" in told(bare, "up", "--kvm")
    else:
        pytest.skip("this host's /dev/kvm can be used")
    assert bare.left() == before


def test_bad_options_are_bad_usage(bare):
    for words in (["fly"], ["up", "--fly"], ["up", "--executors", "many"]):
        done = bare.stack(*words, check=False)
        assert done.returncode == 2 and b"help" in done.stderr, words


@pytest.mark.parametrize("version", [1, 2])
def test_both_composes_take_the_files(bare, version):
    if not (bare.has_v1, bare.has_v2)[version - 1]:
        pytest.skip(f"compose v{version} is not here")
    bare.compose("config", "-q", version=version, COMPOSE_PROFILES="cli,observe,ui,scale")
    bare.compose("--env-file", COMPOSE / "scale.env", "config", "-q", version=version)
    bare.compose("config", "-q", version=version, beside=["kvm", "accounts"], KVM_GID="104")
