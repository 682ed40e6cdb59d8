"""bench peers: what cannot be had is in the table with its reason, and nothing of it is left."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools/bench/peers"))
sys.dont_write_bytecode = True
import run  # noqa: E402


@pytest.fixture
def setting(tmp_path):
    return run.Setting("127.0.0.1:1", tmp_path, tmp_path / "cache", tmp_path, "")


class Failing(run.RedisPeer):
    name = "failing"

    def commands(self, setting, env):
        return ["sh", "-c", "echo why it fails; exit 3"], [], "ready", setting.folder, {}


def test_what_does_not_start_says_why(setting):
    with pytest.raises(run.NotInstalled, match="why it fails"):
        with Failing().running(setting, 1):
            pass


def test_what_is_half_installed_is_made_anew(setting):
    def broken(folder):
        (folder / "half").touch()
        run.must(["sh", "-c", "echo no server; exit 1"], setting.log("x"), "npm")

    with pytest.raises(run.NotInstalled, match="npm: no server"):
        setting.cached("it", broken)
    assert not (setting.cached("it", lambda folder: None) / "half").exists()


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(run.NotInstalled, match="no-such-program"):
        run.needs("no-such-program")


def test_the_table_says_the_ratio_and_the_reason():
    measured = {"handlers": "x", "p50_ms": 1, "p99_ms": 2, "many_p50_ms": 3, "many_p99_ms": 4}
    rows = [{"peer": run.Hearth.name, "per_second": 1000, **measured}, {"peer": "slow", "per_second": 100, **measured},
            {"peer": "missing", "handlers": "y", "why": "no npm"}]
    text = "\n".join(run.table(rows, 64))
    assert "| 100 | 10.00 × |" in text and "not measured: no npm" in text
