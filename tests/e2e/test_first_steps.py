"""What somebody is told who has Kafka and Redis, and nothing of hearth yet."""

import json

from conftest import ROOT

HEARTH = "hearth --user alice "
DEPLOY = f"{HEARTH}deploy hello --handler hello.handler {ROOT / 'examples' / 'hello-python'}"


def test_each_step_names_the_next_one(empty_stack):
    stack = empty_stack
    stack.up("--only", "kafka,redis")

    def told(words, code, *texts):
        done = stack.run(words)
        assert done.returncode == code, done
        for text in texts:
            assert text in done.stderr, done.stderr

    def missing():
        checks = json.loads(stack.run(HEARTH + "--json status").stdout)["checks"]
        assert all(check["way_out"] for check in checks if check["verdict"] == "missing"), checks
        return {check["what"] for check in checks if check["verdict"] == "missing"}

    assert missing() == {"topics", "dispatcher", "executor", "machines", "code store", "functions"}
    for words in ("functions", "remove hello", "pool set default --min 1", "invoke hello --data 1", "invoke hello --data 1 --async"):
        told(HEARTH + words, 1, "no topic hearth.", "hearth topics create")
    told(DEPLOY, 1, "no folder", "comes from HEARTH_CODE_STORE")
    (stack.folder / "code").mkdir()
    told(DEPLOY, 1, "no topic hearth.functions")
    assert stack.run("hearth topics create").stdout.count("created hearth.") == 14
    told(DEPLOY, 0)
    assert missing() == {"dispatcher", "executor", "machines"}
    told(HEARTH + "invoke hello --data 1 --wait 5", 4, "waiting for the reply of hello", "no dispatcher is there", "hearth status")
    told(HEARTH + "pool advise default --p99 50", 1, "no executor says what its pools are")
    told(HEARTH + "why no-such", 1, "names no dispatcher")
