"""What the tests of documents and examples share: one stack."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from stack import running_stack   # noqa: E402  the folder is known since the line above


@pytest.fixture(scope="session")
def stack():
    with running_stack() as stack:
        yield stack
