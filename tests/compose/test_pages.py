"""The commands with Docker of README.md and docs/quickstart.md, as written, against the stack that is up."""

import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tests/docs"))

from pages import blocks_of   # noqa: E402  the folder is known since the line above

HERE = "tests/compose/test_pages.py::test_the_commands_with_docker_do_what_the_pages_say"


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md"])
def test_the_commands_with_docker_do_what_the_pages_say(stack, page):
    if not stack.has_v2:
        pytest.skip("`docker compose` (v2) is not here")
    commands = [block.text for block in blocks_of((ROOT / page).read_text()) if block.elsewhere == HERE]
    assert commands, f"{page} has no commands that name this test"
    stack.run("bash", "-euo", "pipefail", "-c", "\n".join(commands), version=2)
