"""The commands of the pages for newcomers do what the pages say. The ```sh blocks of a page run in their order in one shell,
against the stack; a ```text block right after one is what it prints, numbers apart. What cannot run here names, in a comment
before the block, the test or the chore that runs it."""

import os
import pathlib
import re
import tempfile

import pytest

from pages import blocks_of, loose_outputs_of, missing_of
from stack import DEV, ROOT
from terminal import run_in_terminal

PAGES = ["README.md", "docs/quickstart.md", "docs/troubleshooting.md", "docs/batches.md"]
BLOCK_S = 120
END = "hearth-end-of-block"


def run_page(text, environment):
    """Runs the blocks of a page; gives back what is wrong, or nothing. One shell runs all, so that what a block sets is set for
    the next."""
    blocks = [block for block in blocks_of(text) if not block.elsewhere]
    with tempfile.TemporaryDirectory(prefix="hearth-page-") as folder:
        script = "set -euo pipefail\n"
        for number, block in enumerate(blocks):
            pathlib.Path(folder, f"block-{number}.sh").write_text(block.text)
            script += f". '{folder}/block-{number}.sh'\nprintf '\\n%s\\n' '{END}'\n"
        _, output = run_in_terminal(["bash", "-c", script], environment, ROOT, BLOCK_S * max(1, len(blocks)))
    *done, rest = output.split(f"\n{END}\n")
    for number, block in enumerate(blocks):
        if number >= len(done):
            return f"line {block.line} fails:\n{block.text}\n{rest}"
        if missing := missing_of(block.prints, done[number]):
            return f"line {block.line} does not print {missing}:\n{block.text}\n{done[number]}"
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
def test_every_output_belongs_to_commands(page):
    assert not loose_outputs_of((ROOT / page).read_text())


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
