"""What Grafana would provision itself with (port 3000), or what topics a console of Kafka sees (port 8080)."""

import json
import os
import pathlib
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

PROVISIONING = pathlib.Path("/etc/grafana/provisioning")
BROKERS = os.environ.get("KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS")


def grafana():
    sources = [each for file in sorted((PROVISIONING / "datasources").glob("*.yml")) for each in yaml.safe_load(file.read_text())["datasources"]]
    folders = [each["options"]["path"] for file in sorted((PROVISIONING / "dashboards").glob("*.yml")) for each in yaml.safe_load(file.read_text())["providers"]]
    dashboards = [json.loads(file.read_text()) for folder in folders for file in sorted(pathlib.Path(folder).glob("*.json"))]
    for each in sources:   # as Grafana's server does: it proxies the questions
        with urllib.request.urlopen(each["url"] + "/-/ready", timeout=5) as answer:
            each["ready"] = answer.status == 200
    home = os.environ["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    return {"datasources": sources, "dashboards": [each["title"] for each in dashboards], "home": pathlib.Path(home).exists()}


def console():
    from confluent_kafka.admin import AdminClient
    return {"topics": sorted(AdminClient({"bootstrap.servers": BROKERS}).list_topics(timeout=10).topics)}


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(console() if BROKERS else grafana()).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("", 8080 if BROKERS else 3000), Page).serve_forever()
