"""The stack of compose/ as its first user meets it: up, deploy, invoke, restarts under load, down."""

import json
import re
import subprocess
import sys
import threading
import time
from urllib.parse import quote

import pytest
from client import Client, new_id
from confluent_kafka import Consumer, TopicPartition
from conftest import COMPOSE, ROOT, page, until

HELLO = "examples/hello-python"
DAEMONS = ("dispatcher", "executor")
ONCE = ("accounts", "topics")
PER_S = 20   # requests, while parts are restarted


def test_nobody_has_a_privilege_and_ports_are_the_hosts_alone(stack):
    for one in stack.containers():
        name, host = one["Name"], one["HostConfig"]
        assert not host["Privileged"] and not host["Devices"], name
        assert set(host["CapDrop"] or []) >= {"ALL"}, name
        assert set(host["CapAdd"] or []) <= ({"CHOWN", "DAC_OVERRIDE"} if "accounts" in name else set()), name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert not any("seccomp" in option for option in host["SecurityOpt"]), f"{name}: the default profile"
        assert host["PidMode"] != "host" and host["NetworkMode"] != "host" and host["IpcMode"] != "host", name
        for bindings in (host["PortBindings"] or {}).values():
            assert all(binding["HostIp"] == "127.0.0.1" for binding in bindings), name
        once = one["Config"]["Labels"]["com.docker.compose.service"] in ONCE
        assert host["RestartPolicy"]["Name"] in (("", "no") if once else ("unless-stopped",)), name
    for part in DAEMONS:
        one = stack.container(part)
        assert one["Config"]["User"] == "hearth" and one["HostConfig"]["ReadonlyRootfs"], part
        assert one["HostConfig"]["Memory"] > 0 and one["HostConfig"]["PidsLimit"] > 0, part
        assert one["Config"]["Labels"]["io.hearth.part"] == part


def test_a_function_is_deployed_and_invoked_from_the_current_folder(stack):
    said = stack.hearth("deploy", "hello", HELLO, "--handler", "hello.handler").stderr.decode()
    assert "byte code" not in said, "the command line's image compiles to the guest's byte code"
    done = stack.hearth("invoke", "hello", "--data", '{"name": "Ada"}')
    assert json.loads(done.stdout) == {"greeting": "Hello, Ada!", "attempt": 1}
    assert b"status ok" in done.stderr
    warm = stack.hearth("invoke", "hello", "--data", '{"name": "Grace"}')
    assert b"path container" in warm.stderr


def test_what_passes_through_the_wrapper_arrives_byte_by_byte(stack):
    echo = ROOT / "build/release/examples/echo"
    if not echo.exists():
        pytest.skip("no native example is compiled here: tools/dev build")
    stack.hearth("deploy", "echo", echo.relative_to(ROOT), "--runtime", "native", "--handler", "echo")
    sent = bytes(range(256)) * 4
    assert stack.hearth("invoke", "echo", "--file", "-", input=sent).stdout == sent


def test_looking_inside_from_the_command_line(stack):
    reply = stack.hearth("invoke", "hello", "--data", "{}", "--json")
    invocation = json.loads(reply.stdout)["id"]
    assert "executor-1" in stack.hearth("ps").stdout.decode()
    assert "missing" not in stack.hearth("status").stdout.decode()
    why = stack.hearth("why", invocation).stdout.decode()
    assert "container" in why and "does not answer" not in why, why


def test_a_request_of_a_foreign_client_of_the_host_is_answered(stack):
    invocation = new_id()
    subprocess.run(["kcat", "-P", "-b", stack.bootstrap(), "-t", "hearth.invoke.std", "-k", "default", "-H", "hearth-fn=hello",
                    "-H", "hearth-user=default", "-H", f"hearth-id={invocation}"], input=b'{"name": "kcat"}', check=True, timeout=60)
    record = Client(stack.bootstrap()).reply(invocation)
    assert json.loads(record.value)["greeting"] == "Hello, kcat!"


def producers():
    yield pytest.param([sys.executable, "examples/orders/python/produce.py"], id="python")
    yield pytest.param(["examples/orders/kcat/produce.sh"], id="kcat")


@pytest.mark.parametrize("words", producers())
def test_the_pipeline_of_orders_runs_against_it(stack, words):
    stack.hearth("deploy", "orders", "examples/orders/function", "--handler", "orders.price")
    done = stack.run(*words, "5", HEARTH_BOOTSTRAP=stack.bootstrap(), timeout=180)
    assert re.search(r"5 sent, 5 answered: .*, 0 failed", done.stdout.decode()), done.stdout


def test_prometheus_reads_both_daemons_and_takes_the_rules(stack):
    prometheus = f"127.0.0.1:{stack.ports['HEARTH_PROMETHEUS_PORT']}"

    def up():
        targets = json.loads(page(prometheus, "/api/v1/targets"))["data"]["activeTargets"]
        return {one["labels"]["job"] for one in targets if one["health"] == "up"} == {"hearth-dispatcher", "hearth-executor"}

    until(up, lambda: page(prometheus, "/api/v1/targets"))
    groups = json.loads(page(prometheus, "/api/v1/rules"))["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules and all(rule["health"] in ("ok", "unknown") for rule in rules), rules


def test_every_question_of_the_dashboard_is_one_that_prometheus_answers(stack):
    prometheus = f"127.0.0.1:{stack.ports['HEARTH_PROMETHEUS_PORT']}"
    dashboard = json.loads((COMPOSE / "observe/dashboards/hearth.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert asked

    def ask(expression):
        answer = json.loads(page(prometheus, "/api/v1/query?query=" + quote(expression.replace("$__rate_interval", "1m"))))
        assert answer["status"] == "success", expression
        return answer["data"]["result"]

    silent = until(lambda: [[one for one in asked if not ask(one)]], "unreachable")[0]
    # What has not happened yet has no series; most of what the dashboard shows has.
    assert len(silent) <= len(asked) // 3, silent


def stood_in(stack, service):
    image = stack.container(service)["Config"]["Image"]
    return "io.hearth.stand-in" in json.loads(stack.run("docker", "inspect", image).stdout)[0]["Config"]["Labels"]


def test_grafana_is_provided_with_prometheus_and_the_dashboard(stack):
    grafana = f"127.0.0.1:{stack.ports['HEARTH_GRAFANA_PORT']}"
    if not stood_in(stack, "grafana"):
        until(lambda: "hearth" in page(grafana, "/api/search?type=dash-db").lower(), "the dashboard is not there")
        return
    found = json.loads(until(lambda: page(grafana, "/"), "no answer"))
    assert [each["uid"] for each in found["datasources"] if each["ready"]] == ["prometheus"]
    assert found["dashboards"] and found["home"], found


def test_the_console_reaches_kafka(stack):
    ui = f"127.0.0.1:{stack.ports['HEARTH_UI_PORT']}"
    if not stood_in(stack, "ui"):
        until(lambda: json.loads(page(ui, "/api/clusters"))[0]["status"] == "online", "the cluster is not online")
        return
    assert "hearth.invoke.std" in json.loads(page(ui, "/"))["topics"]


class Load:
    """Requests at a steady rate until it is stopped."""

    def __init__(self, bootstrap):
        self.client = Client(bootstrap)
        self.sent = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stopping.wait(1 / PER_S):
            invocation = new_id()
            headers = {"hearth-fn": "hello", "hearth-user": "default", "hearth-id": invocation}
            # Queued in the client: Kafka itself may be away.
            self.client.producer.produce("hearth.invoke.std", value=b'{"name": "load"}', key=b"default", headers=headers)
            self.client.producer.poll(0)
            self.sent.append(invocation)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        assert self.client.producer.flush(120) == 0, "requests that Kafka never took"


def replies(bootstrap, wanted, deadline_s=180):
    """Status by id, and how often each came, once all that are wanted are there."""
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": "count", "enable.auto.commit": False, "log_level": 0})
    partitions = reader.list_topics("hearth.reply", timeout=20).topics["hearth.reply"].partitions
    reader.assign([TopicPartition("hearth.reply", p, 0) for p in partitions])
    found, end = {}, time.monotonic() + deadline_s
    while not wanted <= found.keys():
        assert time.monotonic() < end, f"{len(wanted - found.keys())} of {len(wanted)} have no reply: {sorted(wanted - found.keys())[:5]}"
        message = reader.poll(0.5)
        if message is None or message.error():
            continue
        status = dict(message.headers() or [])["hearth-status"].decode()
        found.setdefault(message.key().decode(), []).append(status)
    return found


def test_each_part_is_restarted_under_load_and_nothing_is_lost(stack):
    with Load(stack.bootstrap()) as load:
        for part in ("redis", "dispatcher", "executor", "kafka"):
            before = len(load.sent)
            stack.compose("restart", part)
            until(lambda part=part: stack.healthy(part), f"{part} did not become healthy again", 180)
            until(lambda before=before: len(load.sent) > before + PER_S, "the load goes on", 60)
    sent = set(load.sent)
    found = replies(stack.bootstrap(), sent)
    print(f"\n{len(sent)} sent while 4 parts were restarted; {sum(len(found[one]) > 1 for one in sent)} answered more than once")
    assert {status for one in sent for status in found[one]} == {"ok"}
    until(lambda: conservation(stack) == 0, lambda: f"conservation: {conservation(stack)}")


def conservation(stack):
    for line in page(stack.dispatcher(), "/metrics").splitlines():
        if line.startswith("hearth_dispatcher_conservation_difference"):
            return float(line.split()[-1])
    raise AssertionError("the dispatcher does not tell its conservation")


def test_an_executor_that_is_killed_comes_back_by_itself(stack):
    executor = stack.container("executor")
    stack.run("docker", "exec", executor["Id"], "bash", "-c", "kill -9 $(pgrep -x hearth-executor || pidof hearth-executor)", check=False)
    until(lambda: stack.container("executor")["RestartCount"] > executor["RestartCount"] or
          stack.container("executor")["State"]["StartedAt"] != executor["State"]["StartedAt"], "it was not restarted")
    until(lambda: stack.healthy("executor"), "it did not become ready", 180)
    assert json.loads(stack.hearth("invoke", "hello", "--data", "{}").stdout)["attempt"] >= 1


def test_down_and_up_by_the_other_compose_keeps_functions_and_templates(stack):
    if not (stack.has_v1 and stack.has_v2):
        pytest.skip("only one compose is here")
    stack.stack("down")
    left = stack.left()
    assert not left["container"] and not left["network"] and left["volume"]
    stack.stack("up", version=1)
    assert "hello" in stack.hearth("functions", version=1).stdout.decode()
    assert json.loads(stack.hearth("invoke", "hello", "--data", "{}", version=1).stdout)["greeting"]
    log = stack.compose("logs", "executor", version=1).stdout.decode()
    assert "way=template is made: there is none yet" not in log, "the template of before was not found"


def test_a_second_executor_is_one_option_away(stack):
    stack.stack("up", "--executors", "2")
    until(lambda: {"executor-1", "executor-2"} <= set(re.findall(r"^executor-\d+", stack.hearth("ps").stdout.decode(), re.M)),
          lambda: stack.hearth("ps").stdout.decode())
    stack.stack("up", "--executors", "1")


@pytest.mark.variant
def test_machines_with_an_account_each(bare):
    bare.stack("down", "--purge")
    bare.stack("up", "--accounts")
    bare.hearth("deploy", "hello", HELLO, "--handler", "hello.handler")
    for user in ("alice", "bob"):
        bare.hearth("deploy", "hello", HELLO, "--handler", "hello.handler", HEARTH_USER=user)
        assert json.loads(bare.hearth("invoke", "hello", "--data", "{}", HEARTH_USER=user).stdout)["attempt"] == 1
    executor = bare.container("executor")
    assert set(executor["HostConfig"]["CapAdd"]) == {"SETUID", "SETGID", "SETPCAP", "CHOWN", "KILL", "DAC_OVERRIDE"}
    script = "for p in /proc/[0-9]*; do [ \"$(cat $p/comm)\" != qemu-system-x86 ] || stat -c %u $p; done"
    accounts = bare.run("docker", "exec", executor["Id"], "bash", "-c", script).stdout.decode().split()
    assert len(accounts) >= 2 and len(set(accounts)) == len(accounts) and "0" not in accounts, accounts
    bare.stack("down", "--purge")


@pytest.mark.variant
def test_three_brokers_two_dispatchers_and_two_executors(bare):
    bare.stack("down", "--purge")
    bare.stack("up", "--scale")
    bare.hearth("deploy", "hello", HELLO, "--handler", "hello.handler")
    assert json.loads(bare.hearth("invoke", "hello", "--data", "{}").stdout)["attempt"] == 1
    bare.compose("stop", "kafka-2", "dispatcher-2", COMPOSE_PROFILES="scale")
    assert json.loads(bare.hearth("invoke", "hello", "--data", "{}").stdout)["attempt"] >= 1
    bare.stack("down", "--purge", "--scale")
    assert not any(bare.left().values())


def test_down_with_purge_leaves_nothing(stack):
    stack.stack("down", "--purge")
    assert not any(stack.left().values()), stack.left()
