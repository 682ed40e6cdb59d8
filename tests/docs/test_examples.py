"""The examples do what their page says: each producer of the pipeline of orders gets a result for every order."""

import re
import shutil
import subprocess

import pytest

from stack import ROOT

ORDERS = ROOT / "examples" / "orders"
BATCH = ROOT / "examples" / "batch"
COUNT = 12   # three customers, four items and five quantities: of twelve orders six are accepted
PYTHON = "/usr/bin/python3"   # the one that Debian's packages are for


@pytest.fixture(scope="module")
def deployed(stack):
    done = stack.run(["hearth", "deploy", "orders", str(ORDERS / "function"), "--handler", "orders.price"])
    assert done.returncode == 0, done.stderr
    return stack


def run(stack, words, **settings):
    return subprocess.run(words, env={**stack.env(), **settings}, text=True, capture_output=True, timeout=180, stdin=subprocess.DEVNULL)


def python(_):
    return [PYTHON, str(ORDERS / "python" / "produce.py")]


def kcat(_):
    return [str(ORDERS / "kcat" / "produce.sh")]


def node(folder):
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node or npm is not installed")
    shutil.copytree(ORDERS / "node", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"], cwd=folder, text=True, capture_output=True,
                          timeout=120, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        pytest.skip(f"kafkajs cannot be installed here: {done.stderr.strip().splitlines()[-1:]}")
    return ["node", str(folder / "produce.js")]


def java(folder):
    shutil.copy(ORDERS / "java" / "pom.xml", folder)
    done = subprocess.run(["mvn", "-q", "dependency:copy-dependencies", "-DoutputDirectory=jars"], cwd=folder, text=True,
                          capture_output=True, timeout=180, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout
    return ["java", "-cp", f"{folder}/jars/*", str(ORDERS / "java" / "Produce.java")]


@pytest.mark.parametrize("producer", [python, kcat, node, java], ids=lambda each: each.__name__)
def test_a_producer_gets_a_result_for_each_order(deployed, tmp_path, producer):
    done = run(deployed, [*producer(tmp_path), str(COUNT)])
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip() == f"{producer.__name__}: {COUNT} sent, {COUNT} answered: 6 accepted, 6 refused, 0 failed"


def batch_python(_):
    return [PYTHON, str(BATCH / "python" / "submit.py")]


def batch_kcat(_):
    return [str(BATCH / "kcat" / "submit.sh")]


def batch_java(folder):
    return [*java(folder)[:-1], str(BATCH / "java" / "Submit.java")]


@pytest.mark.parametrize("producer", [batch_python, batch_kcat, batch_java], ids=lambda each: each.__name__)
def test_any_client_submits_a_batch(deployed, tmp_path, producer):
    done = run(deployed, [*producer(tmp_path), str(COUNT)])
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf'batch \S+: {COUNT} items, .*ok\W*{COUNT}|batch \S+: {COUNT} items, {COUNT} ok', done.stdout), done.stdout


def test_results_are_matched_to_orders_on_a_topic_of_their_own(deployed):
    settings = {"HEARTH_RESULTS": "reply.orders"}
    reader = subprocess.Popen([PYTHON, str(ORDERS / "python" / "results.py"), str(COUNT)], env={**deployed.env(), **settings}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        made = run(deployed, ["bash", "-c", "until kcat -L -b \"$HEARTH_BOOTSTRAP\" | grep -q '\"reply.orders\"'; do :; done"])
        assert made.returncode == 0, made.stderr
        done = run(deployed, [*python(None), str(COUNT)], **settings)
        assert done.returncode == 0, done.stdout + done.stderr
        out, errors = reader.communicate(timeout=120)
    finally:
        reader.kill()
    assert reader.returncode == 0, out + errors
    lines = out.splitlines()
    assert lines[-1] == f"{COUNT} orders matched to their results"
    assert all(re.match(r"py-\d+-\d+: \d \w+ for \w+: (accepted, \d+\.\d\d|refused: .+) \(\w+, \d+\.\d ms\)$", line) for line in lines[:-1]), out


@pytest.mark.parametrize("producer", [python, kcat], ids=lambda each: each.__name__)
def test_a_producer_without_kafka_says_where_it_looked(deployed, producer):
    done = run(deployed, [*producer(None), "1"], HEARTH_BOOTSTRAP="127.0.0.1:1")
    assert (done.returncode, "no Kafka answers at 127.0.0.1:1" in done.stderr) == (1, True), done.stderr


def test_a_producer_says_what_failed(deployed):
    done = run(deployed, [*python(None), "2"], HEARTH_USER="nobody-deployed-it")
    assert done.returncode == 1 and "unknown_function" in done.stderr, done.stderr
    assert "2 answered: 0 accepted, 0 refused, 2 failed" in done.stdout
