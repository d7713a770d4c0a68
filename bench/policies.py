"""A preview of many resources by the real CLI with the policy pack, against one without it.

The resources are the platform's own, as a stack of processes with a flow of many tables declares
them. Nothing is created: a preview calls no service.
"""

import os
import re
from collections.abc import Callable

from bench.case import Row, Skip, seconds
from tests.support.deployed import small_stack
from tools.paths import Paths

RUNS = 3  # the fastest of them counts: others share the machine
SETTINGS = {"dataflow:flow": "bench.wide_flow:FLOW"}


def run() -> list[Row]:
    paths = Paths.find()
    if not (paths.bin / "pulumi").exists():
        raise Skip("the Pulumi CLI is missing: make bootstrap")
    pack = ("--policy-pack", str(paths.root / "policies"))
    with small_stack(f"bench-{os.getpid()}", SETTINGS) as stack:
        stack.create()
        [resources] = re.findall(r"(\d+) to create", stack.answer("preview"))
        plain, checked = [], []
        for _ in range(RUNS):
            plain.append(_measured(lambda: stack.answer("preview")))
            checked.append(_measured(lambda: stack.answer("preview", *pack)))
    return [
        Row(what=f"preview, {resources} resources, {name}", ours=min(ours), baseline=min(baseline))
        for name, ours, baseline in zip(
            ("wall", "processor"),
            zip(*checked, strict=True),
            zip(*plain, strict=True),
            strict=True,
        )
    ]


def _measured(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock, and seconds of all processors: those of the engine, the program, the
    provider and the pack, whatever else the machine does meanwhile."""
    before = os.times()
    wall = seconds(work)
    after = os.times()
    user = after.children_user - before.children_user
    return wall, user + after.children_system - before.children_system
