"""What a plan shows, for one resource of every kind, by the real engine over the fakes.

Inputs come from cases.py. All resources are edited at once, each in one field, so that one
preview serves every kind.
"""

import importlib
import inspect
import json
import re
import secrets
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dynamic_providers import credentials
from dynamic_providers.handler import InputError, Props
from tests.dynamic_providers.cases import CASES
from tests.dynamic_providers.engine import Stack, name_of, serve_all

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
PROGRAM = Path(__file__).parent / "every_kind"
# How the fixtures and cases spell whatever is secret, and nothing else.
SECRETS = re.compile(r"[\w-]*(?:pa55word|5tore|5ecret|5tack)[\w-]*")


def resource_of(handler: Any) -> dict[str, str]:
    """Module and name of the resource class of a handler, which is named after its provider."""
    area = handler.KIND.split("/")[0]
    module = importlib.import_module(f"dynamic_providers.{area}.resources")
    for value in vars(module).values():
        if inspect.isclass(value) and vars(value).get("handler") is handler:
            return {"module": module.__name__, "class": value.__name__.removesuffix("Provider")}
    raise LookupError(f"{handler.KIND}: no provider class")


def edits(handler: Any, raw: Props, changed: Props | None) -> list[tuple[str, Props]]:
    """Each with its key: `raw` with one input of `changed`, or with another identity."""
    base, found = handler.normalize(raw), []
    for key in changed or ():
        edited = {**raw, key: changed[key]}
        if _is_valid(handler, edited, base, key) and changed[key] != raw.get(key):
            found.append((key, edited))
    for key in sorted(handler.REPLACE_ON & set(raw)):
        for value in _others(raw[key]):
            if _is_valid(handler, {**raw, key: value}, base, key):
                found.append((key, {**raw, key: value}))
                break
        else:  # a reviewer may refuse each: what is destroyed needs an opt-in
            assert hasattr(handler, "review"), f"{handler.KIND}.{key}: no other value known"
    return found


def _others(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [[*value[:-1], f"{value[-1]}2"], [*value, "two"]]
    return [f"{value}2", str(uuid4()), "POSTGRES"]


def _is_valid(handler: Any, edited: Props, base: Props, key: str) -> bool:
    """Whether the edit is one of this field alone, as the handler sees it."""
    try:
        spec = handler.normalize(edited)
        if hasattr(handler, "review"):
            handler.review(base, spec)
    except InputError:
        return False
    return {k for k in {*spec, *base} if spec.get(k) != base.get(k)} == {key}


@contextmanager
def watched_arguments(found: set[str]):
    """Adds to `found` what looks like a secret among the arguments of any process."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    found.update(SECRETS.findall(file.read_bytes().decode(errors="replace")))
                except OSError:
                    continue  # ended meanwhile

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture
def every_kind(request, tmp_path):
    """The stack, and kind -> (handler, raw inputs, changed inputs)."""
    areas = {case.handler.KIND.split("/")[0] for case in CASES}
    services = {area: request.getfixturevalue(area) for area in sorted(areas)}
    fakes = {area: request.getfixturevalue(f"{area}_fake") for area in services}
    kinds = {}
    for case in CASES:
        raw, changed = case.make(services[case.handler.KIND.split("/")[0]])
        name = case.handler.KIND.replace("/", "-").lower()
        kinds[name] = (case.handler, raw, changed)
    seed = secrets.token_hex(16)
    fakes["airbyte"].client_secret = credentials.derive(seed, "airbyte-client")
    fakes["dremio"].user["password"] = credentials.derive(seed, "dremio-admin")
    fakes["superset"].passwords["admin"] = credentials.derive(seed, "superset-admin")
    with ExitStack() as running:
        offset = serve_all(running, {area: fake.app for area, fake in fakes.items()})
        stack = Stack(tmp_path, PROGRAM)
        stack.init(seed, offset)
        yield stack, kinds, fakes, seed


def write(stack: Stack, kinds: dict, inputs: dict[str, Props]) -> None:
    entries = {
        name: {**resource_of(handler), "inputs": inputs.get(name, raw)}
        for name, (handler, raw, _) in kinds.items()
    }
    (stack.folder / "resources.json").write_text(json.dumps(entries))


def field(path: str) -> str:
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def test_a_plan_shows_exactly_what_was_edited(every_kind):
    stack, kinds, fakes, seed = every_kind
    in_arguments: set[str] = set()
    write(stack, kinds, {})
    with watched_arguments(in_arguments):
        stack.run("up", "--yes", "--skip-preview")
    requests = {area: len(fake.requests) for area, fake in fakes.items()}
    assert stack.steps() == []

    planned = {name: edits(*kind) for name, kind in kinds.items()}
    for turn in range(max(len(found) for found in planned.values())):
        edited = {name: found[turn] for name, found in planned.items() if len(found) > turn}
        write(stack, kinds, {name: inputs for name, (_, inputs) in edited.items()})
        check_steps(stack.steps(), kinds, edited)
        if turn == 0:  # every kind has one
            check_shown(stack.run("preview", "--diff"), edited)
    assert {area: len(fake.requests) for area, fake in fakes.items()} == requests

    stack.run("refresh", "--preview-only", "--expect-no-changes")
    exported = stack.run("stack", "export")
    printed = "".join(stack.printed)
    assert SECRETS.findall(exported + printed) == []
    assert seed not in exported + printed
    assert in_arguments == set()


def check_steps(steps: list[dict], kinds: dict, edited: dict[str, tuple[str, Props]]) -> None:
    by_name: dict[str, list[dict]] = {}
    for step in steps:
        by_name.setdefault(name_of(step), []).append(step)
    assert set(by_name) == set(edited)
    for name, (key, _) in edited.items():
        replaced = key in kinds[name][0].REPLACE_ON
        ops = {step["op"] for step in by_name[name]}
        assert ("update" not in ops) if replaced else ops == {"update"}, (name, key, ops)
        step = next(s for s in by_name[name] if s["op"] in ("update", "replace"))
        assert {field(path) for path in step["detailedDiff"]} == {key}, (name, key)
        old, new = step["oldState"]["inputs"], step["newState"]["inputs"]
        assert {k for k in {*old, *new} if old.get(k) != new.get(k)} <= {key}
        if replaced:
            assert key in step["replaceReasons"], (name, key)


def check_shown(diff: str, edited: dict[str, tuple[str, Props]]) -> None:
    """The text for people names each edited field below its resource."""
    sections: dict[str, str] = {}  # a replace has one for each of its steps
    for section in re.split(r"\n(?=\s*[-+~]+ ?pulumi)", diff):
        if urn := re.search(r"urn=\S+::([\w-]+)\]", section):
            sections[urn[1]] = sections.get(urn[1], "") + section
    for name, (key, _) in edited.items():
        assert re.search(rf"[-+~] {key}\s*:", sections.get(name, "")), (name, key, diff)
