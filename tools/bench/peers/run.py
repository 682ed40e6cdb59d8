"""tools/dev bench peers: the same no-op work by hearth with simulated machines and by others, one after the other, on this host.

Each peer is installed, started, warmed up and measured twice: one request at a time, and with many under way. What cannot be
installed is in the table with the reason. README.md says who the peers are."""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
READY_S = 90
STOP_S = 20
MEASURE_S = 600
NUCLIO = "github.com/nuclio/nuclio"
NUCLIO_VERSION = "v0.0.0-20250102122648-9e837f6a07fc"
NUCLIO_NEEDS = ["nuclio-sdk==0.5.13", "msgpack==1.0.8", "confluent-kafka==2.6.1"]


class NotInstalled(Exception):
    """The peer cannot be had here; its text says why."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def must(command, log, why, **more):
    """Runs it; what fails becomes NotInstalled with the last line of its output that says something."""
    with open(log, "w", encoding="utf-8") as output:
        try:
            done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, timeout=MEASURE_S, check=False, **more)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotInstalled(f"{why}: {error}") from error
    if done.returncode != 0:
        lines = [line.strip() for line in open(log, encoding="utf-8", errors="replace") if line.strip()]
        raise NotInstalled(f"{why}: {lines[-1][:200] if lines else done.returncode}")


def needs(program):
    if shutil.which(program) is None:
        raise NotInstalled(f"{program} is not on this host")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@dataclasses.dataclass
class Setting:
    bootstrap: str
    bin: pathlib.Path
    cache: pathlib.Path
    folder: pathlib.Path
    nuclio_source: str

    def log(self, name):
        return self.folder / f"{name}.log"

    def cached(self, name, make):
        """A folder in the cache, made once."""
        folder = self.cache / name
        if not (folder / ".complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            make(folder)
            (folder / ".complete").touch()
        return folder


@contextlib.contextmanager
def program(setting, name, command, ready, env, cwd=None):
    """A peer while it is measured: waits until its output says that it is ready, ends it afterwards."""
    log = setting.log(name)
    with open(log, "w", encoding="utf-8") as output:
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=cwd, start_new_session=True,
                                 env={**os.environ, **env})
    try:
        end = time.monotonic() + READY_S
        while ready not in log.read_text(encoding="utf-8", errors="replace"):
            if child.poll() is not None or time.monotonic() > end:
                raise NotInstalled(f"does not start: {log.read_text(encoding='utf-8', errors='replace')[-300:].strip()}")
            time.sleep(0.05)
        yield child
    finally:
        for how in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(STOP_S)
                break


def figures(command, log, **more):
    with open(log, "w", encoding="utf-8") as errors:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, timeout=MEASURE_S, check=False, **more)
    if done.returncode != 0:
        raise NotInstalled(f"was not measured: {open(log, encoding='utf-8').read()[-300:].strip() or done.stdout[-300:]}")
    return json.loads(done.stdout)


class KafkaPeer:
    """Reads requests from a topic and answers on another."""

    name, isolation = "", "in its own process"
    ready = "ready"

    def command(self, setting, env):
        raise NotImplementedError

    @contextlib.contextmanager
    def running(self, setting, concurrency):
        topic = f"peer.{type(self).__name__.lower()}.{os.getpid()}"
        env = {"BOOTSTRAP": setting.bootstrap, "REQUESTS": topic + ".requests", "REPLIES": topic + ".replies",
               "CONCURRENCY": str(concurrency)}
        drive = [str(setting.bin / "hearth-bench"), "drive", "--bootstrap", setting.bootstrap, "--requests", env["REQUESTS"],
                 "--replies", env["REPLIES"]]
        must([*drive, "--create"], setting.log("topics"), "its topics")
        command, more = self.command(setting, env)
        with program(setting, type(self).__name__, command, self.ready, {**env, **more}):
            yield lambda seconds, in_flight: figures([*drive, "--seconds", str(seconds), "--in-flight", str(in_flight)],
                                                     setting.log("drive"))


class ByHand(KafkaPeer):
    name = "librdkafka by hand"

    def command(self, setting, env):
        return [str(setting.bin / "hearth-peer-worker")], {}


class ParallelConsumer(KafkaPeer):
    name = "parallel-consumer 0.5.3.2"

    def command(self, setting, env):
        for each in ("mvn", "javac", "java"):
            needs(each)

        def make(folder):
            must(["mvn", "-B", "-q", "-f", str(HERE / "parallel_consumer/pom.xml"), "dependency:copy-dependencies",
                  f"-DoutputDirectory={folder}"], setting.log("maven"), "Maven")
            must(["javac", "-cp", f"{folder}/*", "-d", str(folder), str(HERE / "parallel_consumer/Peer.java")],
                 setting.log("javac"), "javac")

        folder = setting.cached("parallel-consumer-0.5.3.2", make)
        return ["java", "-cp", f"{folder}:{folder}/*", "Peer"], {}


class Nuclio(KafkaPeer):
    name, isolation = "Nuclio's processor, Kafka trigger", "in processes of their own"
    ready = "Starting processor"   # what it logs later it logs for debugging only

    def command(self, setting, env):
        needs("go")

        def make(folder):
            source = pathlib.Path(setting.nuclio_source) if setting.nuclio_source else self.download(setting)
            must(["go", "build", "-o", str(folder / "processor"), "./cmd/processor"], setting.log("nuclio-build"), "go build", cwd=source)
            shutil.copy(source / "pkg/processor/runtime/python/py/_nuclio_wrapper.py", folder)
            must([sys.executable, "-m", "venv", str(folder / "python")], setting.log("venv"), "python3 -m venv")
            must([str(folder / "python/bin/pip"), "install", "-q", *NUCLIO_NEEDS], setting.log("pip"), "PyPI")
            shutil.copy(HERE / "nuclio/handler.py", folder)

        folder = setting.cached("nuclio-" + NUCLIO_VERSION, make)
        text = (HERE / "nuclio/processor.yaml").read_text(encoding="utf-8")
        for word in ("CONCURRENCY", "BOOTSTRAP", "REQUESTS"):
            text = text.replace(f"@{word}@", env[word])
        config = setting.folder / "processor.yaml"
        config.write_text(text, encoding="utf-8")
        return [str(folder / "processor"), "--config", str(config)], {
            "NUCLIO_PYTHON_WRAPPER_PATH": str(folder / "_nuclio_wrapper.py"), "NUCLIO_PYTHON_PATH": str(folder),
            "NUCLIO_PYTHON_EXE_PATH": str(folder / "python/bin/python")}

    @staticmethod
    def download(setting):
        must(["go", "mod", "download", "-json", f"{NUCLIO}@{NUCLIO_VERSION}"], setting.log("nuclio"),
             f"{NUCLIO} (a checkout is taken with --nuclio-source)")
        return pathlib.Path(json.loads(setting.log("nuclio").read_text(encoding="utf-8"))["Dir"])


class RedisPeer:
    """Has a queue of its own in Redis, and a client of its own."""

    name, isolation = "", "in processes of their own"

    @contextlib.contextmanager
    def running(self, setting, concurrency):
        port = free_port()
        env = {"REDIS_PORT": str(port), "CONCURRENCY": str(concurrency)}
        redis = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(setting.folder)]
        with program(setting, "redis", redis, "Ready to accept connections", {}):
            worker, client, ready, where, more = self.commands(setting, env)
            with program(setting, type(self).__name__, worker, ready, {**env, **more}, cwd=where):
                yield lambda seconds, in_flight: figures([*client, str(seconds), str(in_flight)], setting.log("client"), cwd=where,
                                                       env={**os.environ, **env, **more})

    def commands(self, setting, env):
        raise NotImplementedError


class BullMq(RedisPeer):
    name = "BullMQ 5.81.5, sandboxed processors"

    def commands(self, setting, env):
        for each in ("node", "npm"):
            needs(each)

        def make(folder):
            for file in (HERE / "bullmq").iterdir():
                shutil.copy(file, folder)
            must(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"], setting.log("npm"), "npm", cwd=folder)

        folder = setting.cached("bullmq-5.81.5", make)
        return ["node", "worker.js"], ["node", "client.js"], "ready", folder, {}


class Celery(RedisPeer):
    name = "Celery, prefork"

    def commands(self, setting, env):
        if subprocess.run(["/usr/bin/python3", "-c", "import celery, redis"], capture_output=True, check=False).returncode != 0:
            raise NotInstalled("Debian's python3-celery is not installed")
        worker = ["/usr/bin/python3", "-m", "celery", "-A", "tasks", "worker", "--pool", "prefork", "--concurrency",
                  str(os.cpu_count()), "--without-gossip", "--without-mingle"]
        return worker, ["/usr/bin/python3", "client.py"], "[queues]", HERE / "celery", {"PYTHONDONTWRITEBYTECODE": "1"}


class Hearth:
    """Its own stack with simulated machines: dispatcher, executor, Redis, all that a request passes."""

    name, isolation = "hearth, simulated machines", "in machines, simulated"

    @contextlib.contextmanager
    def running(self, setting, concurrency):
        def measure(seconds, in_flight):
            command = [str(setting.bin / "hearth-bench"), "load", "--bootstrap", setting.bootstrap, "--bin", str(setting.bin),
                       "--seconds", str(seconds), "--in-flight", str(in_flight), "--no-system-calls", "--json"]
            return figures(command, setting.log("hearth"))["hearth"]
        yield measure


PEERS = [Hearth(), ByHand(), ParallelConsumer(), Nuclio(), BullMq(), Celery()]


def measure(peer, setting, options):
    with peer.running(setting, options.in_flight) as one:
        one(options.warm_up, options.in_flight)
        alone = one(options.seconds, 1)
        many = one(options.seconds, options.in_flight)
    return {"peer": peer.name, "handlers": peer.isolation, "per_second": many["per_second"], "p50_ms": alone["p50_ms"],
            "p99_ms": alone["p99_ms"], "many_p50_ms": many["p50_ms"], "many_p99_ms": many["p99_ms"]}


def table(rows, in_flight):
    ours = next((row["per_second"] for row in rows if row["peer"] == Hearth.name and "per_second" in row), None)
    yield f"| peer | handlers run | no-ops/s, {in_flight} under way | hearth ÷ it | p50, p99 of one at a time, ms | p50, p99 of many, ms |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for row in rows:
        if "why" in row:
            yield f"| {row['peer']} | {row['handlers']} | not measured: {row['why']} | | | |"
            continue
        ratio = f"{ours / row['per_second']:.2f} ×" if ours else ""
        yield (f"| {row['peer']} | {row['handlers']} | {row['per_second']:,.0f} | {ratio} | {row['p50_ms']:.2f}, {row['p99_ms']:.2f} "
               f"| {row['many_p50_ms']:.1f}, {row['many_p99_ms']:.1f} |")


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench peers", description=__doc__.splitlines()[0])
    parser.add_argument("--bootstrap", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--bin", required=True, type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--cache", required=True, type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=10, help="of each of the two (default: %(default)s)")
    parser.add_argument("--warm-up", type=float, default=5, help="seconds before them, which do not count (default: %(default)s)")
    parser.add_argument("--in-flight", type=int, default=64, help="requests under way at once (default: %(default)s)")
    parser.add_argument("--nuclio-source", default=os.environ.get("HEARTH_NUCLIO_SOURCE", ""),
                        help="a checkout of Nuclio, where Go's module proxy does not have it")
    parser.add_argument("--only", action="append", metavar="NAME", help="peers whose names begin so; may be repeated")
    parser.add_argument("--quick", action="store_true", help="a second of each: whether it works, no figures")
    parser.add_argument("--markdown", action="store_true", help=argparse.SUPPRESS)   # the table is Markdown
    parser.add_argument("--json", action="store_true", help="one line of JSON for each peer")
    options = parser.parse_args()
    if min(options.seconds, options.warm_up, options.in_flight) <= 0:
        parser.error("--seconds, --warm-up and --in-flight must be above 0")
    if options.quick:
        options.seconds = options.warm_up = 1
    peers = [peer for peer in PEERS if not options.only or any(peer.name.lower().startswith(name.lower()) for name in options.only)]
    if not peers:
        parser.error("--only: there is none of that name; there are " + ", ".join(peer.name for peer in PEERS))
    rows = []
    with tempfile.TemporaryDirectory(prefix="hearth-peers-") as folder:
        setting = Setting(options.bootstrap, options.bin, options.cache / "peers", pathlib.Path(folder), options.nuclio_source)
        for peer in peers:
            say(f"   {peer.name}")
            try:
                rows.append(measure(peer, setting, options))
            except NotInstalled as error:
                rows.append({"peer": peer.name, "handlers": peer.isolation, "why": " ".join(str(error).split())})
                say(f"   {peer.name}: {error}")
    print("\n".join(json.dumps(row) for row in rows) if options.json else "\n".join(table(rows, options.in_flight)))
    return 0 if any("per_second" in row for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
