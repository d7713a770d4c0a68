"""Many resources under the real engine: size of the state, calls, and a failure half-way.

300 of them: 2,000 take minutes, because the engine writes the whole state again after each.
`make bench` has the case of 2,000.
"""

import json
import os
import secrets
from contextlib import ExitStack
from pathlib import Path

import pytest

from dynamic_providers import credentials
from dynamic_providers.dremio import first_user
from dynamic_providers.dremio.client import DremioClient
from dynamic_providers.endpoints import PORTS
from tests.dynamic_providers.engine import ROOT, Stack, serve_all
from tests.fakes.dremio import Dremio, error

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
PROGRAM = Path(__file__).parent / "every_kind"
COUNT = 300
STATE_LIMIT_BYTES = 2048
RESOURCES = "dynamic_providers.dremio.resources"


class Failing(Dremio):
    """Refuses to make the spaces named in `refused`."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[str] = set()

    async def add(self, request):
        if (await request.json()).get("name") in self.refused:
            return error(400, "no room for it")
        return await super().add(request)


@pytest.fixture
def dremio():
    return Failing()


@pytest.fixture
def stack(dremio, tmp_path):
    seed = secrets.token_hex(16)
    with ExitStack() as running:
        offset = serve_all(running, {"dremio": dremio.app})
        url = f"http://127.0.0.1:{PORTS['dremio'] + offset}"
        client = DremioClient(url, credentials.derive(seed, "dremio-admin"))
        first_user.create(client, first_user.normalize({}))
        client.close()
        stack = Stack(tmp_path, PROGRAM)
        stack.init(seed, offset)
        yield stack


def declare(stack: Stack, count: int) -> None:
    entries = {
        f"space-{number}": {
            "module": RESOURCES,
            "class": "Space",
            "inputs": {"name": f"space{number}"},
        }
        for number in range(count)
    }
    (stack.folder / "resources.json").write_text(json.dumps(entries))


def as_deployed(stack: Stack, resource: dict) -> str:
    """The resource as the state of a user's stack has it.

    The engine records the callers of each resource, as paths relative to the program. A user's
    program lies in the project; this one lies elsewhere, at a distance that pytest chose.
    """
    distance = os.path.relpath(ROOT, stack.folder)
    text = json.dumps(resource)
    assert distance in text  # else this function is not needed any more
    return text.replace(f"{distance}/", "")


def test_many_resources_have_a_small_state_and_a_plan_without_calls(stack, dremio):
    declare(stack, COUNT)
    before = len(dremio.requests)
    # One save at the end in place of two per resource: this run cannot be interrupted.
    stack.env["PULUMI_SKIP_CHECKPOINTS"] = "1"
    stack.run("up", "--yes")  # with its preview
    assert len(dremio.objects) == COUNT
    assert len(dremio.requests) - before <= 2 * COUNT + 8  # look, make; four threads log in
    resources = stack.resources()
    assert len(resources) == COUNT
    assert max(len(as_deployed(stack, resource)) for resource in resources) < STATE_LIMIT_BYTES

    before = len(dremio.requests)
    stack.run("preview", "--expect-no-changes")
    assert len(dremio.requests) == before


def test_a_failure_among_many_leaves_an_exact_state(stack, dremio):
    declare(stack, 8)
    dremio.refused = {"space3", "space5"}
    printed = stack.run("up", "--yes", "--skip-preview", "--continue-on-error", fails=True)
    assert "dremio/Space 'space3': create failed" in printed
    assert "no room for it" in printed
    assert {path[0] for path in dremio.objects} == {r["id"] for r in stack.resources()}
    assert len(dremio.objects) == 6

    dremio.refused = set()
    stack.run("up", "--yes", "--skip-preview")
    assert sorted(path[0] for path in dremio.objects) == [f"space{n}" for n in range(8)]
    assert sorted(r["id"] for r in stack.resources()) == [f"space{n}" for n in range(8)]
    posts = [r for r in dremio.requests if r == ("POST", "/api/v3/catalog")]
    assert len(posts) == 10  # 6 made, 2 refused, 2 made later: nothing twice
    stack.run("preview", "--expect-no-changes")
