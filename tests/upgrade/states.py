"""States that releases left behind, in a form that fits every machine.

One file per release: the configuration of a small stack that was deployed by it, its seed, and its
decrypted state. The stack is gone, so its secrets open nothing.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynamic_providers.credentials import SEED_KEY
from tools.paths import Paths
from tools.preflight import service_user
from tools.stack import Stack

FOLDER = Path(__file__).with_name("states")
NAME = "recorded"  # of the stack: it is part of every URN
SUFFIX = ".json.gz"
HOME, ROOT, USER = "@HOME@", "@ROOT@", "@USER@"  # stand for what differs between machines


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """config: key -> value, without the seed."""

    config: dict[str, Any]
    seed: str
    state: dict[str, Any]


def releases() -> list[str]:
    return sorted(path.name.removesuffix(SUFFIX) for path in FOLDER.glob(f"*{SUFFIX}"))


def write(release: str, stack: Stack) -> Path:
    """The state of a deployed stack as that of a release."""
    state = json.loads(stack.answer("stack", "export", "--show-secrets"))
    user = service_user()
    for props in _programs(state):
        if props.get("user") == user:
            props["user"] = USER
    paths = stack.paths
    text = json.dumps(
        {
            "config": {k: v for k, v in stack.configuration().items() if k != SEED_KEY},
            "seed": stack.seed(),
            "state": state,
        },
        indent=1,
    )
    # The home first: it may lie in the project.
    for place, mark in ((paths.home, HOME), (paths.root, ROOT)):
        text = text.replace(str(place), mark)
    FOLDER.mkdir(exist_ok=True)
    target = FOLDER / f"{release}{SUFFIX}"
    target.write_bytes(gzip.compress(text.encode(), mtime=0))
    return target


def read(release: str, paths: Paths) -> Recorded:
    text = gzip.decompress((FOLDER / f"{release}{SUFFIX}").read_bytes()).decode()
    for place, mark in ((paths.home, HOME), (paths.root, ROOT)):
        text = text.replace(mark, str(place))
    recorded = Recorded(**json.loads(text))
    for props in _programs(recorded.state):
        if props.get("user") == USER:
            props["user"] = service_user()
    return recorded


def _programs(state: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for resource in state["deployment"]["resources"]:
        if "local:" in resource["type"]:
            yield from (resource[part] for part in ("inputs", "outputs") if part in resource)
