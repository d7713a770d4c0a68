"""One deployed stack for all tests of this folder, by the real engine.

Modules run by their names: test_removal.py, which takes the stack away, has to be the last one.
Each test deploys nothing but what it changes itself, and leaves the stack as it found it.
"""

import os
from collections.abc import Iterator

import pytest

from tests.support.deployed import Deployed, small_stack
from tools.paths import Paths


@pytest.fixture(scope="session")
def deployed() -> Iterator[Deployed]:
    paths = Paths.find()
    if not (paths.bin / "pulumi").exists():
        pytest.skip("the engine is not installed: run bin/dataflow bootstrap")
    with small_stack(f"test-{os.getpid()}") as stack:
        stack.create()
        deployed = Deployed(stack)
        deployed.up()
        yield deployed
