"""Alerts, dashboard and pages name metrics that the daemons really have, with labels that they really have."""

import json
import re
import shutil
import subprocess
import urllib.request

import pytest
import yaml

from stack import ROOT
from support import until

OBSERVE = ROOT / "compose" / "observe"
DASHBOARD = OBSERVE / "dashboards" / "hearth.json"
SELECTOR = re.compile(r"\b((?:hearth|process)_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
LAZY = {"path", "status"}   # labels whose series appear with their first event: their values are those of the tables
SCRAPED = {"job", "instance"}   # added by Prometheus
HISTOGRAM_PARTS = re.compile(r"_(bucket|sum|count)$")


def rules():
    return [rule for group in yaml.safe_load((OBSERVE / "alerts.yml").read_text())["groups"] for rule in group["rules"]]


def panels():
    return json.loads(DASHBOARD.read_text())["panels"]


def expressions():
    return [rule["expr"] for rule in rules()] + [target["expr"] for panel in panels() for target in panel.get("targets", [])]


def table_values():
    """Names of start paths and statuses, from the tables that the daemons take them from."""
    text = (ROOT / "schemas" / "start_path.h").read_text() + (ROOT / "schemas" / "result.h").read_text()
    return set(re.findall(r'(?:StartPath|Status)Row\{\w+::\w+, "(\w+)"', text))


def scrape(stack):
    """Metric → label → values, of both daemons now."""
    found = {}
    for daemon in ("HEARTH_DISPATCHER_HTTP", "HEARTH_EXECUTOR_HTTP"):
        text = urllib.request.urlopen(f"http://{stack.env()[daemon]}/metrics", timeout=10).read().decode()
        for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
            metric = found.setdefault(name, {})
            for label, value in re.findall(r'(\w+)="([^"]*)"', labels):
                metric.setdefault(label, set()).add(value)
    return found


@pytest.fixture(scope="module")
def exported(stack):
    """Metric → label → values, of both daemons after an invocation."""
    done = stack.run("bash -c 'hearth deploy seen examples/hello-python --handler hello.handler && hearth invoke seen --data {}'", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    # An executor says how machines of a profile start once it has found that out.
    def whole():
        found = scrape(stack)
        return found if "hearth_executor_start_way" in found else None
    return until(whole, "the executor does not say how machines start")


def wrong_of(expression, exported):
    """What of an expression the daemons do not have."""
    wrong = []
    for name, matchers in SELECTOR.findall(expression):
        if name not in exported:
            wrong.append(name)
            continue
        for label, how, text in MATCHER.findall(matchers):
            values = text.split("|") if "~" in how else [text]
            known = table_values() if label in LAZY else exported[name].get(label, set())
            if label not in SCRAPED:
                wrong += [f'{name}{{{label}="{value}"}}' for value in values if value not in known]
    return wrong


def test_alerts_and_dashboard_ask_for_what_the_daemons_export(exported):
    wrong = {expression: missing for expression in expressions() if (missing := wrong_of(expression, exported))}
    assert not wrong


@pytest.mark.parametrize("expression", [
    "hearth_dispatcher_no_such_metric > 0", 'hearth_dispatcher_held{what="nonsense"}', 'hearth_executor_pool{kind=~"ready|nonsense"}',
    'hearth_dispatcher_records_total{status="nonsense"}',
])
def test_what_is_not_exported_is_found_out(exported, expression):
    assert wrong_of(expression, exported)


def test_pages_name_metrics_that_exist(exported):
    families = {HISTOGRAM_PARTS.sub("", name) for name in exported} | set(exported)
    wrong = {}
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        missing = [name for name in re.findall(r"\bhearth_(?:dispatcher|executor)_\w+", page.read_text()) if name not in families]
        if missing:
            wrong[page.name] = missing
    assert not wrong


def test_each_alert_says_what_and_what_to_do():
    for rule in rules():
        assert {"severity"} <= set(rule["labels"]) and rule["labels"]["severity"] in ("page", "warn", "info"), rule["alert"]
        assert rule["annotations"]["summary"] and rule["annotations"]["description"], rule["alert"]
        assert rule["alert"] in (ROOT / "docs" / "operations.md").read_text(), f"docs/operations.md does not know {rule['alert']}"


def test_the_dashboard_is_one_that_grafana_takes():
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)
    for panel in panels():
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "prometheus"} and panel["description"], panel["title"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]


def test_prometheus_takes_the_alerts():
    if not shutil.which("promtool"):
        pytest.skip("promtool (Debian's package prometheus) is not installed")
    done = subprocess.run(["promtool", "check", "rules", str(OBSERVE / "alerts.yml")], text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
