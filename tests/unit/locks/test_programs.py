"""The target `programs`, which is all that `tools/dev demo` compiles: it needs nothing that only tests need."""
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_programs_are_configured_without_what_tests_need(tmp_path):
    def output(*words):
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    told = output("cmake", "-S", ROOT, "-B", tmp_path, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                  "-DCMAKE_DISABLE_FIND_PACKAGE_GTest=ON", "-DCMAKE_CXX_COMPILER_LAUNCHER=")
    assert "Without the tests" in told and "tools/dev setup --dev" in told
    made = re.findall(r" -o (\S+)", output("ninja", "-C", tmp_path, "-t", "commands", "programs"))
    programs = {"bin/hearth", "bin/hearth-dispatcher", "bin/hearth-executor", "bin/hearth-subreaper", "bin/hearth-agent", "examples/echo"}
    assert {name for name in made if not name.endswith(".o")} == programs
    assert not [name for name in made if name.startswith(("tests/", "tools/bench/"))]



def test_checks_are_not_among_the_packages_of_a_stack():
    def packages(array):
        script = f'ROOT={ROOT}; . "$ROOT/tools/dev.d/lib.sh"; . "$ROOT/tools/dev.d/setup.sh"; printf "%s\\n" "${{{array}[@]}}"'
        return set(subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split())

    stack, dev = packages("PACKAGES"), packages("DEV_PACKAGES")
    assert not stack & dev
    assert {"g++", "cmake", "redis-server"} <= stack
    assert {"clang-19", "clang-tidy-19", "shellcheck", "libgtest-dev", "python3-pytest"} <= dev
