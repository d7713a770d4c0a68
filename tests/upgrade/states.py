"""States that releases left behind, in a form that fits every machine.

One file per release: the configuration of a small stack that was deployed by it, its seed, and its
state. The stack is gone, so its secrets open nothing; the files are sealed all the same, so that
nobody has to wonder about a secret in the repository.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dynamic_providers.credentials import SEED_KEY
from operations.archive import SEALED
from operations.sealed import Keys, sealing, unsealing
from tools.paths import Paths
from tools.preflight import service_user
from tools.stack import Stack

FOLDER = Path(__file__).with_name("states")
NAME = "recorded"  # of the stack: it is part of every URN
PASSPHRASE = "seals recorded states, and nothing else"
HOME, ROOT, USER = "@HOME@", "@ROOT@", "@USER@"  # stand for what differs between machines


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """config: key -> value, without the seed."""

    config: dict[str, Any]
    seed: str
    state: dict[str, Any]


def releases() -> list[str]:
    return sorted(path.name.removesuffix(SEALED) for path in FOLDER.glob(f"*{SEALED}"))


def write(release: str, stack: Stack) -> Path:
    """The state of a deployed stack as that of a release."""
    state = json.loads(stack.answer("stack", "export", "--show-secrets"))
    user = service_user()
    for props in _programs(state):
        if props.get("user") == user:
            props["user"] = USER
    text = json.dumps(
        {
            "config": {k: v for k, v in stack.configuration().items() if k != SEED_KEY},
            "seed": stack.seed(),
            "state": state,
        },
        indent=1,
    )
    for place, mark in _places(stack.paths):
        text = text.replace(place, mark)
    FOLDER.mkdir(exist_ok=True)
    target = _file(release)
    target.unlink(missing_ok=True)
    with sealing(target, _keys(release)) as out:
        out.write(gzip.compress(text.encode()))
    return target


def read(release: str, paths: Paths) -> Recorded:
    with unsealing(_file(release), _keys(release)) as source:
        text = gzip.decompress(source.read()).decode()
    for place, mark in _places(paths):
        text = text.replace(mark, place)
    recorded = Recorded(**json.loads(text))
    for props in _programs(recorded.state):
        if props.get("user") == USER:
            props["user"] = service_user()
    return recorded


def _places(paths: Paths) -> Iterator[tuple[str, str]]:
    """What differs between machines, and what stands for it."""
    # The home first: it may lie in the project.
    for path, mark in ((paths.home, HOME), (paths.root, ROOT)):
        yield quote(str(path), safe=""), f"@quoted{mark}"
        yield str(path), mark


def _file(release: str) -> Path:
    return FOLDER / f"{release}{SEALED}"


def _keys(release: str) -> Keys:
    return Keys(seed=PASSPHRASE, salt=release.encode())


def _programs(state: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for resource in state["deployment"]["resources"]:
        if "local:" in resource["type"]:
            yield from (resource[part] for part in ("inputs", "outputs") if part in resource)
