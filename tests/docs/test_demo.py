"""`tools/dev demo` prints what README.md shows of it."""

import os
import shutil

from pages import blocks_of, missing_of
from stack import DEV, ROOT, Stack, temporary_folder
from terminal import run_in_terminal


def test_the_demo_prints_what_the_readme_shows():
    shown = next(block for block in blocks_of((ROOT / "README.md").read_text()) if "tools/dev demo" in block.text)
    stack = Stack(temporary_folder())
    try:
        environment = {**os.environ, **stack.settings}
        code, output = run_in_terminal([str(DEV), "demo"], environment, ROOT, 1500)   # in a fresh clone it builds everything
    finally:
        gone = stack.down()
        shutil.rmtree(stack.folder, ignore_errors=True)
    assert code == 0, output
    assert shown.prints and not missing_of(shown.prints, output), output
    assert gone.returncode == 0, gone.stderr
