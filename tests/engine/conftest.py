"""One deployed stack for all tests of this folder, by the real engine.

Modules run by their names: test_removal.py, which takes the stack away, has to be the last one.
Each test deploys nothing but what it changes itself, and leaves the stack as it found it.
"""

import os
from collections.abc import Iterator

import pytest

from tests.support.deployed import ORDERS, Deployed, free_offset
from tools.paths import Paths
from tools.stack import Stack


@pytest.fixture(scope="session")
def deployed() -> Iterator[Deployed]:
    paths = Paths.find()
    if not (paths.bin / "pulumi").exists():
        pytest.skip("the engine is not installed: run bin/dataflow bootstrap")
    stack = Stack(name=f"test-{os.getpid()}", paths=paths)
    offset = free_offset()
    try:
        stack.create()
        stack.answer("config", "set", "portOffset", str(offset))
        stack.answer("config", "set", "shopOrders", str(ORDERS))
        deployed = Deployed(stack, offset)
        deployed.up()
        yield deployed
    finally:
        if stack.exists:
            stack.pulumi("destroy", "--yes", "--skip-preview")
            stack.answer("stack", "rm", "--yes", "--force")
        stack.config_file.unlink(missing_ok=True)
