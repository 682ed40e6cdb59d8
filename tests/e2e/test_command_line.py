"""What people see when they mistype, and when a server is away."""

import json
import re
import shutil

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from conftest import ROOT, deploy
from support import until

HEARTH = "hearth --user alice "
NOWHERE = "--bootstrap 127.0.0.1:1 "
CODE = str(ROOT / "examples" / "hello-python")


@pytest.fixture(scope="module")
def hello(stack):
    kafka = AdminClient({"bootstrap.servers": stack.env()["HEARTH_BOOTSTRAP"]})
    kafka.create_topics([NewTopic("not.allowed", 1, 1)])["not.allowed"].result(20)
    done = stack.run(f"{HEARTH}deploy hello --runtime python3 --handler hello.handler {CODE}")
    assert done.returncode == 0, done.stderr
    done = stack.run(HEARTH + "invoke hello --data {}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words, code, complaint", [
    ("", 2, "a command is required: deploy"),
    ("invok hello", 2, "unknown command invok; did you mean invoke?"),
    ("invoke", 2, "name is required"),
    ("invoke hello --form nonsense", 2, "nonsense not in"),
    ("invoke hello --wait soon", 2, "--wait: Value soon"),
    (f"deploy x {CODE}", 2, "--handler is required"),
    (f"deploy x --runtime cobol --handler a.b {CODE}", 2, "expected python3 or native"),
    ("deploy x --handler a.b /no/such/folder", 1, "no such file or folder"),
    (f"deploy x --handler app.handler {CODE}", 1, "no app.py; it has hello.py; did you mean hello.handler?"),
    (f"deploy x --runtime native --handler hello.py {CODE}", 1, "hello.py may not be executed: chmod +x"),
    (f"--code-store /no/such/store deploy x --handler hello.handler {CODE}", 1, "/no/such/store comes from --code-store"),
    (f"--user ../alice deploy x --handler a.b {CODE}", 2, "the user must be"),
    ("invoke hello --file /no/such/file", 1, "cannot read /no/such/file"),
    ("invoke hello --data 1 --reply-to no.such.topic", 1, "no topic no.such.topic"),
    ("remove no-such-function", 1, "no function alice/no-such-function"),
    ("remove helo", 1, "did you mean hello?"),
    ("invoke no-such-function --data 1", 1, "unknown_function"),
    ("invoke helo --data 1", 1, "did you mean hello?"),
    ("--user nobody invoke hello --data 1", 1, "a function hello belongs to alice"),
    ("invoke a/b --data 1", 2, "the name of a function must be"),
    ("invoke hello --data 1 --id a/b", 2, "--id must be"),
    ("invoke hello --data 1 --reply-to hearth.usage", 2, "no reply goes to hearth.usage"),
    ("invoke hello --data 1 --reply-to not.allowed", 1, "reply_topic_not_allowed: the reply topic not.allowed is not"),
    ("invoke hello --file /dev/zero", 1, "/dev/zero has more than"),
    ("pool", 2, "a command is required: status"),
    ("pool set default", 2, "say at least one of"),
    ("pool set default --min 1 --unset", 2, "say at least one of"),
    ("pool set default --min 5 --max 4", 2, "max must not be less than min"),
    ("pool set default --min 2000", 2, "--min"),
    ("pool set a/b --min 1", 2, "profile and executor must be"),
    ("pool advise default", 2, "--p99 is required"),
    ("pool advise no-such --p99 10", 1, "no executor has a profile no-such"),
    (NOWHERE + "pool set default --min 1", 3, "kafka at 127.0.0.1:1"),
    ("--redis tcp:127.0.0.1:1 pool status", 3, "redis at tcp:127.0.0.1:1"),
    (NOWHERE + "invoke hello --data 1", 3, "kafka at 127.0.0.1:1"),
    (NOWHERE + "invoke hello --data 1 --async", 3, "kafka at 127.0.0.1:1"),
    (NOWHERE + "functions", 3, "127.0.0.1:1 comes from --bootstrap; name another with --bootstrap BROKERS or HEARTH_BOOTSTRAP"),
    (NOWHERE + "topics list", 3, "kafka at 127.0.0.1:1"),
    ("--redis unix:/no/such/socket ps", 3, "redis at unix:/no/such/socket"),
    ("--redis tcp:127.0.0.1:1 ps", 3, "tcp:127.0.0.1:1 comes from --redis; name another with --redis ADDRESS or HEARTH_REDIS"),
    ("--redis-user nobody ps", 1, "WRONGPASS"),
    ("--redis-user nobody ps", 1, "the account nobody comes from --redis-user, no password file is named"),
    ("--redis-user hearth --redis-password-file /no/such/file ps", 1, "--redis-password-file: cannot be read"),
    ("invoke hello --data 1 --wait 0", 4, "no reply to"),
])
def test_errors_are_clear_and_have_their_exit_codes(stack, hello, words, code, complaint):
    done = stack.run(("hearth " if words.startswith("--user") else HEARTH) + words)
    assert (done.returncode, complaint in done.stderr) == (code, True), (done.returncode, done.stderr)


def test_python_code_brings_its_byte_code_along(stack, tmp_path):
    (tmp_path / "app.py").write_text("import os\ndef handler(event, context):\n  return os.path.exists(__cached__)\n")
    deploy = f"{HEARTH}--quiet deploy compiled --runtime python3 --handler app.handler {tmp_path}"
    done = stack.run(deploy)
    assert (done.returncode, done.stderr) == (0, "")
    assert stack.run(HEARTH + "invoke compiled --data 1").stdout.strip() == "true"
    (tmp_path / "broken.py").write_text("def (\n")
    done = stack.run(deploy)
    assert done.returncode == 0 and "SyntaxError" in done.stderr and "broken.py" in done.stderr, done.stderr
    (tmp_path / ("x" * 96 + ".py")).touch()   # with byte code its path is too long
    done = stack.run(deploy)
    assert done.returncode == 0 and "the code goes without byte code" in done.stderr, done.stderr
    hearth = shutil.which("hearth", path=stack.env()["PATH"])
    done = stack.run(f"env PATH=/no-such-folder {deploy.replace('hearth', hearth, 1)}")
    assert done.returncode == 0 and "python3.11 is not installed: the code goes without byte code" in done.stderr, done.stderr


def test_commands_that_look_log_in_to_redis_with_an_account(stack):
    account = f"--redis-user hearth --redis-password-file {stack.settings['HEARTH_STATE']}/redis/password "
    for words in ("ps", "pool status", "why no-such-invocation"):
        done = stack.run(HEARTH + account + words)
        assert "redis" not in done.stderr and done.returncode == (1 if words.startswith("why") else 0), done.stderr


def test_the_pool_is_shown_and_set_while_the_executor_runs(stack):
    def pool():
        done = stack.run(HEARTH + "--json pool status")
        assert done.returncode == 0, done.stderr
        rows = [row for row in json.loads(done.stdout) if row["profile"] == "default"]
        return rows[0] if rows else {}

    until(pool, "no executor says what its pools are")
    configured = pool()
    done = stack.run(HEARTH + f"pool set default --max {configured['max'] + 3}")
    assert done.returncode == 0 and "as configured" in done.stdout, done.stderr
    until(lambda: pool()["max"] == configured["max"] + 3, "what was set did not come")
    assert pool()["min"] == configured["min"]
    advice = stack.run(HEARTH + "pool advise default --p99 50")
    assert advice.returncode == 0 and "machines" in advice.stdout, advice.stderr
    assert stack.run(HEARTH + "pool set default --unset").returncode == 0
    until(lambda: pool()["max"] == configured["max"], "what was unset stayed")


def test_async_prints_the_id_of_the_reply_to_come(stack, hello, client):
    done = stack.run(HEARTH + "invoke hello --data {} --async")
    assert done.returncode == 0
    assert client.reply(done.stdout.strip()).status == "ok"


def test_every_command_speaks_json(stack, hello, client):
    def said(words, code=0):
        done = stack.run(f"{HEARTH}--json {words}")
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    deployed = said(f"deploy spoken --handler hello.handler {CODE}")
    assert (deployed["user"], deployed["name"], deployed["runtime"]) == ("alice", "spoken", "python3")
    listed = next(each for each in said("functions") if each["name"] == "spoken")
    assert (listed["version"], listed["code"]) == (deployed["version"], deployed["code"])
    result = said("invoke spoken --data {}")
    assert (result["status"], result["output_base64"]) == ("ok", None)
    assert json.loads(result["output"])["attempt"] == 1
    sent = said("invoke spoken --data {} --async")
    assert sent["reply_to"] == "hearth.reply" and client.reply(sent["id"]).status == "ok"
    assert said("invoke no-such-function --data 1", code=1)["error_type"] == "unknown_function"
    assert said("why " + result["id"])["reply"]["status"] == "ok"
    assert said("remove spoken") == {"user": "alice", "name": "spoken"}
    assert said("topics create") == {"created": []}
    assert {"name": "hearth.reply", "partitions": 8} in said("topics list")
    assert said("pool set no-such --min 1 --executor e") == {
        "profile": "no-such", "executor": "e", "min": 1, "max": None, "shells": None}
    assert said("pool set no-such --executor e --unset")["min"] is None
    assert said("pool status") and said("pool advise default --p99 50") and said("ps")["executors"]


def test_status_says_what_is_there_and_the_way_out_of_what_is_not(stack, hello):
    done = stack.run(HEARTH + "status")
    assert done.returncode == 0, done.stdout
    found = json.loads(stack.run(HEARTH + "--json status").stdout)
    assert found["ok"] and {check["verdict"] for check in found["checks"]} == {"ok"}, found
    assert [check["what"] for check in found["checks"]].count("executor") >= 1
    done = stack.run(f"{HEARTH}{NOWHERE}--redis unix:/no/such/socket status --dispatcher-http 127.0.0.1:1")
    assert done.returncode == 1
    for text in ("kafka       missing  127.0.0.1:1", "redis       missing  unix:/no/such/socket", "dispatcher  missing  127.0.0.1:1",
                 "127.0.0.1:1 comes from --bootstrap; name another with", "topics      unknown"):
        assert text in done.stdout, done.stdout


def test_who_waits_is_told_what_for(stack, hello):
    deploy(stack, "holds")
    holds = HEARTH + """invoke holds --data '{"ms": 2500}' """
    done = stack.run(holds)
    assert done.returncode == 0 and "hearth: waiting for the reply of holds" in done.stderr, done.stderr
    done = stack.run(holds + "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


DAY_MS = 86_400_000


def documented_topics():
    """Partitions and how long records are kept, by topic, as docs/operations.md says."""
    section = (ROOT / "docs" / "operations.md").read_text().split("## Topics", 1)[1].split("\n## ", 1)[0]
    topics = {}
    for cells in re.findall(r"^\|(.*`hearth.*)\|$", section, re.M):
        names, partitions, kept = [cell.strip() for cell in cells.split("|")][:3]
        names = [name if name.startswith("hearth.") else "hearth.invoke" + name for name in re.findall(r"`([^`]+)`", names)]
        days = re.match(r"(\d+) days?", kept)
        topics.update({name: (int(partitions), int(days[1]) * DAY_MS if days else kept) for name in names})
    return topics


def test_topics_are_made_as_documented_and_left_alone(stack):
    kafka = AdminClient({"bootstrap.servers": stack.env()["HEARTH_BOOTSTRAP"]})
    topics = documented_topics()
    assert len(topics) >= 8

    def found():
        partitions = {name: len(topic.partitions) for name, topic in kafka.list_topics(timeout=20).topics.items()}
        described = kafka.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, name) for name in topics])
        settings = {resource.name: {key: entry.value for key, entry in answer.result().items()}
                    for resource, answer in described.items()}
        return {name: (partitions[name], "compacted" if settings[name]["cleanup.policy"] == "compact"
                       else int(settings[name]["retention.ms"])) for name in topics}

    assert found() == topics
    done = stack.run("hearth topics create --partitions 3")
    assert (done.returncode, done.stdout) == (0, "all topics exist\n"), done
    assert found() == topics
    listed = stack.run("hearth topics list").stdout.splitlines()
    assert {line.split()[0]: int(line.split()[1]) for line in listed}.items() >= {n: p for n, (p, _) in topics.items()}.items()


def test_variables_are_secrets(stack, tmp_path):
    """No list shows a value unless it is asked for one; files and the command's environment keep them out of argv."""
    (tmp_path / "app.py").write_text("import os\ndef handler(event):\n    return {k: os.environ[k] for k in event}\n")
    variables = tmp_path / "variables"
    variables.write_text("# of the shop\nTOKEN=s3cret-a\nINHERITED\n")
    deploy = f"deploy keeps --runtime python3 --handler app.handler {tmp_path} --env-file {variables} --env OWN"
    done = stack.run(f"env INHERITED=s3cret-b OWN=s3cret-c {HEARTH}{deploy}")
    assert done.returncode == 0, done.stderr
    listed = json.loads(stack.run(f"{HEARTH}--json functions").stdout)
    assert next(each for each in listed if each["name"] == "keeps")["environment"] == {
        "TOKEN": None, "INHERITED": None, "OWN": None}
    assert "s3cret" not in done.stdout + stack.run(f"{HEARTH}functions").stdout
    assert "TOKEN=s3cret-a" in stack.run(f"{HEARTH}functions --show-secrets").stdout
    variables.write_text("A=1\n=s3cret\n")
    done = stack.run(f"{HEARTH}{deploy}")
    assert done.returncode == 2 and "variables: line 2: expected NAME=VALUE" in done.stderr and "s3cret" not in done.stderr
