"""What `tools/dev demo` does with its steps: the order, what fails, what is left; and its table of timings.

The functions of tools/dev.d run with steps of the test's own.
"""
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools/dev.d"))
import timings  # noqa: E402

STEPS = """
DEMO_STEPS=(first other second)
DEMO_NEEDS=([first]="" [other]="" [second]="first other")
for step in "${DEMO_STEPS[@]}"; do DEMO_TITLE[$step]="the $step"; done
DEMO_WAS_UP=0
mkdir -p "$DEMO" "$LOGS"
trap demo_end EXIT
"""


def run(folder, commands):
    parts = "".join(f'. "$ROOT/tools/dev.d/{name}.sh"; ' for name in ("lib", "setup", "stack", "work", "demo"))
    environment = {**os.environ, "HEARTH_STATE": str(folder / "state"), "HEARTH_CACHE": str(folder / "cache")}
    done = subprocess.run(["bash", "-c", f"set -euo pipefail; ROOT={ROOT}; {parts}\n{STEPS}\n{commands}"], env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout


def ended(pid):
    """Killed, whether or not somebody has taken note of it; False only after 10 s."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
    return False


def test_a_step_begins_when_what_it_needs_is_done(tmp_path):
    code, output = run(tmp_path, f"""
        demo_first() {{ mkfifo {tmp_path}/meet || true; echo here > {tmp_path}/meet; }}
        demo_other() {{ until [ -p {tmp_path}/meet ]; do :; done; read -r word < {tmp_path}/meet; [ "$word" = here ]; }}
        demo_second() {{ test -f "$DEMO/first.end" && test -f "$DEMO/other.end"; }}
        demo_beside""")   # the first two meet: they run beside each other
    assert code == 0, output
    assert output.index("done:   the first") < output.index("begins: the second")


def test_a_failed_step_shows_its_log_and_ends_the_others(tmp_path):
    code, output = run(tmp_path, f"""
        demo_first() {{ echo "cc: internal compiler error: Killed signal"; false; echo not reached; }}
        demo_other() {{ echo $BASHPID > {tmp_path}/other; tail -f /dev/null; }}
        demo_second() {{ touch {tmp_path}/second; }}
        until_other() {{ until [ -s {tmp_path}/other ]; do :; done; }}
        eval "$(declare -f demo_first | sed '1s/demo_first/fail_first/')"
        demo_first() {{ until_other; fail_first; }}
        demo_beside""")
    assert code == 1, output
    assert "internal compiler error" in output and "HEARTH_JOBS=1" in output and "'the first' failed" in output
    assert "not reached" not in output and not (tmp_path / "second").exists()
    assert ended(int((tmp_path / "other").read_text()))


def test_a_second_demo_of_the_same_folder_names_the_first(tmp_path):
    (tmp_path / "state").mkdir()
    with open(tmp_path / "state/demo.lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, output = run(tmp_path, "demo_alone; echo alone")
    assert code == 1 and f"another tools/dev demo works in {tmp_path}/state" in output and f" {os.getpid()} " in output, output
    assert run(tmp_path, "demo_alone; echo alone") == (0, "alone\n")


def test_without_room_on_the_disk_it_says_how_much_is_needed_where(tmp_path):
    code, output = run(tmp_path, f'need_space {tmp_path} 999999999 "Kafka" "set HEARTH_STATE to a folder on"')
    assert code == 1
    assert "no disk" in output and "999999999 MiB" in output and str(tmp_path) in output and "HEARTH_STATE" in output


def test_without_root_and_sudo_it_says_what_root_has_to_do(tmp_path):
    code, output = run(tmp_path, 'is_root() { false; }; command() { [ "$2" != sudo ]; }; missing_packages() { echo kcat; }; download_packages')
    assert code == 1 and "apt-get install -y --no-install-recommends kcat" in output, output


def test_timings_tell_what_ran_beside_what_and_count_downloads_apart():
    second = 1_000_000
    steps = [("download", 0, 10 * second, "download"), ("work", 10 * second, 40 * second, "compile"),
             ("download", 10 * second, 50 * second, "jars"), ("work", 50 * second, 60 * second, "start")]
    lines = timings.table(steps, 0, 60 * second)
    assert lines[2].split() == ["compile", "10.0", "40.0", "30.0", "jars"]
    assert lines[4].split() == ["start", "50.0", "60.0", "10.0", "-"]
    assert "after 60.0 s" in lines[5] and "for 20.0 s of it" in lines[5] and "40.0 s without" in lines[5]
