"""A preview of many resources by the real CLI with the policy pack, against one without it, and
against one with a pack of a single rule: what the engine itself needs to ask any pack.

The resources are the platform's own, as a stack of processes with a flow of many tables declares
them. Nothing is created: a preview calls no service.
"""

import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.case import Row, Skip, seconds
from tests.support.deployed import small_stack
from tools.paths import Paths
from tools.stack import Stack

RUNS = 5
SETTINGS = {"dataflow:flow": "bench.wide_flow:FLOW"}
WITHOUT, ONE_RULE, OURS = "without a pack", "with a pack of one rule", "ours"
PROJECT = """
runtime:
  name: python
  options:
    virtualenv: {}
"""
RULE = """
from pulumi_policy import PolicyPack, ResourceValidationPolicy

PolicyPack("one-rule", policies=[
    ResourceValidationPolicy("none", "Everything passes.", lambda args, report: None)
])
"""


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock, and seconds of all processors: those of the engine, the program, the
    provider and the pack, whatever else the machine does meanwhile."""

    wall: float
    processor: float


def run() -> list[Row]:
    paths = Paths.find()
    if not (paths.bin / "pulumi").exists():
        raise Skip("the Pulumi CLI is missing: make bootstrap")
    # As people have it: else each start compiles this project's modules anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        packs = {
            WITHOUT: (),
            ONE_RULE: ("--policy-pack", _pack_of_one_rule(Path(folder), paths.root)),
            OURS: ("--policy-pack", str(paths.root / "policies")),
        }
        with small_stack(f"bench-{os.getpid()}", SETTINGS) as stack:
            stack.create()
            [resources] = re.findall(r"(\d+) to create", stack.answer("preview"))
            measured = [_costs(stack, packs) for _ in range(RUNS)]
    return [
        _row(f"preview, {resources} resources, {name}", baseline, name, measured)
        for baseline in (WITHOUT, ONE_RULE)
        for name in ("wall", "processor")
    ]


def _row(what: str, baseline: str, name: str, measured: Sequence[Mapping[str, Cost]]) -> Row:
    """Of the turns, the one whose ratio is in the middle: others share the machine, and what
    they do changes from turn to turn more than within one."""
    pairs = [(getattr(turn[OURS], name), getattr(turn[baseline], name)) for turn in measured]
    pairs.sort(key=lambda pair: pair[0] / pair[1])
    ours, other = pairs[len(pairs) // 2]
    return Row(what=what, ours=ours, baseline=other, note=f"baseline: {baseline}")


def _costs(stack: Stack, packs: Mapping[str, tuple[str, ...]]) -> dict[str, Cost]:
    return {name: _cost(partial(stack.answer, "preview", *pack)) for name, pack in packs.items()}


def _cost(work: Callable[[], object]) -> Cost:
    before = os.times()
    wall = seconds(work)
    after = os.times()
    user = after.children_user - before.children_user
    return Cost(wall, user + after.children_system - before.children_system)


def _pack_of_one_rule(folder: Path, root: Path) -> str:
    (folder / "PulumiPolicy.yaml").write_text(PROJECT.format(root / ".venv"))
    (folder / "__main__.py").write_text(RULE)
    return str(folder)
