"""The commands of the pages for newcomers do what the pages say. The ```sh blocks of a page run in their order in one shell,
against the stack; a ```text block right after one is what it prints, numbers apart. What cannot run here names, in a comment
before the block, the test or the chore that runs it."""

import os
import pathlib
import re
import signal
import subprocess
import tempfile

import pytest

from pages import blocks_of, missing_of
from stack import DEV, ROOT

PAGES = ["README.md", "docs/quickstart.md", "docs/troubleshooting.md"]
BLOCK_S = 120


def run_page(text, environment):
    """Runs the blocks of a page; gives back what is wrong, or nothing. One shell runs all, so that what a block sets is set for
    the next."""
    blocks = [block for block in blocks_of(text) if not block.elsewhere]
    with tempfile.TemporaryDirectory(prefix="hearth-page-") as folder:
        for number, block in enumerate(blocks):
            pathlib.Path(folder, f"block-{number}.sh").write_text(block.text)
        script = "set -euo pipefail\n" + "".join(f"exec > '{folder}/{n}.out' 2>&1\n. '{folder}/block-{n}.sh'\ntouch '{folder}/{n}.done'\n"
                                                 for n in range(len(blocks)))
        shell = subprocess.Popen(["bash", "-c", script], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            shell.wait(timeout=BLOCK_S * max(1, len(blocks)))
        except subprocess.TimeoutExpired:
            pass
        finally:
            try:   # what a page leaves running in the background
                os.killpg(shell.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            shell.wait()
        for number, block in enumerate(blocks):
            file = pathlib.Path(folder, f"{number}.out")
            output = file.read_text(errors="replace") if file.exists() else ""
            if not pathlib.Path(folder, f"{number}.done").exists():
                return f"line {block.line} fails:\n{block.text}\n{output}"
            if missing := missing_of(block.prints, output):
                return f"line {block.line} does not print {missing}:\n{block.text}\n{output}"
    return None


def newcomer(stack):
    """The environment of somebody who has read nothing yet: where the state lies, and nothing else of hearth's."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("HEARTH_")}
    ours = {name: os.environ[name] for name in ("HEARTH_CACHE", "HEARTH_IMAGE", "HEARTH_BIN") if name in os.environ}
    return {**kept, **ours, **stack.settings, "PATH": "/usr/bin:" + kept["PATH"]}   # Debian's python3 before any other


@pytest.mark.parametrize("page", PAGES)
def test_every_command_does_what_its_page_says(stack, page):
    text = (ROOT / page).read_text()
    assert blocks_of(text), f"{page} has no commands"
    assert (wrong := run_page(text, newcomer(stack))) is None, f"{page}: {wrong}"


@pytest.mark.parametrize("page", PAGES)
def test_what_runs_elsewhere_says_where(page):
    for block in blocks_of((ROOT / page).read_text()):
        if not block.elsewhere:
            continue
        if chore := re.fullmatch(r"tools/dev ([a-z-]+)", block.elsewhere):
            assert re.search(rf"\b{chore[1]}\b", DEV.read_text()), f"{page}: no chore {block.elsewhere}"
            continue
        file, _, name = block.elsewhere.partition("::")
        assert (ROOT / file).is_file(), f"{page}, line {block.line}: no {file}"
        assert name and re.search(rf"\b{re.escape(name)}\b", (ROOT / file).read_text()), f"{page}, line {block.line}: {file} has no {name}"


@pytest.mark.parametrize("text, complaint", [
    ("```sh\nhearth no-such-command\n```\n", "line 2 fails"),
    ("```sh\ntrue\n```\n\n```sh\nfalse | cat\n```\n", "line 6 fails"),
    ("```sh\necho one\n```\n\n```text\ntwo\n```\n", "does not print ['two']"),
    ("```sh\nexit 0\n```\n", "line 2 fails"),
])
def test_a_wrong_command_is_found(stack, text, complaint):
    assert complaint in (run_page(text, stack.env()) or "")


@pytest.mark.parametrize("text", [
    "```sh\na=1\n```\n\n```sh\necho $a of 7 $(date +%s)\n```\n\n```text\n1 of 7 12345\n```\n",
    "```sh\necho 'a  b    anything at all'\n```\n```text\na b …\n```\n",
    "<!-- run by x::y -->\n```sh\nfalse\n```\n",
])
def test_what_is_right_is_let_through(stack, text):
    assert run_page(text, stack.env()) is None
