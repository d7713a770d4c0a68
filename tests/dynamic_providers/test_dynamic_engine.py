"""The resources under the real engine: up, nothing to do, drift, change, destroy."""

import re
import secrets
from contextlib import ExitStack
from pathlib import Path

import pytest

from dynamic_providers import credentials
from tests.dynamic_providers.engine import Stack, name_of, serve_all
from tests.fakes.airbyte import Airbyte
from tests.fakes.dremio import Dremio

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
PROGRAM = Path(__file__).parent / "program"
SECRET = "pa55word-of-the-shop"


def plan(stack: Stack) -> dict[str, tuple[str, set[str]]]:
    """Resource name -> operation and the changed paths, of all that a preview would do."""
    return {
        name_of(step): (step["op"], set(step.get("detailedDiff") or {})) for step in stack.steps()
    }


def test_a_stack_from_up_to_destroy(tmp_path):
    seed = secrets.token_hex(16)
    airbyte, dremio = Airbyte(credentials.derive(seed, "airbyte-client")), Dremio()
    dremio.files.add(("store", "datalake", "orders"))
    with ExitStack() as services:
        offset = serve_all(services, {"airbyte": airbyte.app, "dremio": dremio.app})
        stack = Stack(tmp_path, PROGRAM)
        stack.init(seed, offset)
        stack.run("config", "set", "--secret", "dataflow:shopPassword", given=SECRET)
        _check_life(stack, airbyte, dremio)
        assert SECRET not in "".join(stack.printed)


def _check_life(stack: Stack, airbyte: Airbyte, dremio: Dremio) -> None:
    before = len(airbyte.requests), len(dremio.requests)
    assert {op for op, _ in plan(stack).values()} == {"create"}
    assert (len(airbyte.requests), len(dremio.requests)) == before  # a preview calls nobody
    stack.run("up", "--yes")
    assert [job["status"] for job in airbyte.jobs.values()] == ["succeeded"]
    assert len(dremio.reflections) == 1
    exported = stack.run("stack", "export")
    assert SECRET not in exported
    assert len(re.findall(r'"type": "pulumi-python:dynamic/dataflow/', exported)) == 10

    stack.run("preview", "--expect-no-changes")
    stack.run("refresh", "--yes", "--expect-no-changes")

    (source,) = airbyte.actors["sources"].values()
    source["configuration"]["port"] = 6000
    connection = next(iter(airbyte.connections.values()))
    connection["status"] = "inactive"
    stack.run("refresh", "--yes")
    planned = plan(stack)
    assert planned["shop-to-lake"] == ("update", {"status"})
    assert planned["shop"] == ("update", {"configuration.port"})
    assert SECRET not in stack.run("stack", "export")  # a refresh keeps what is secret
    stack.run("up", "--yes")
    assert (source["configuration"]["port"], connection["status"]) == (5432, "active")
    stack.run("refresh", "--yes", "--expect-no-changes")

    stack.run("config", "set", "dataflow:cursor", "id")
    refused = stack.run("preview", fails=True)
    assert "orders: cursorField ['updated_at'] becomes ['id']" in refused
    assert "set allowReset" in refused
    stack.run("config", "rm", "dataflow:cursor")

    stack.run("config", "set", "dataflow:suffix", "2")
    planned = plan(stack)
    assert planned["lake"] == ("update", {"name"})
    assert planned["view"][0].startswith(("replace", "create-replacement", "delete-replaced"))
    stack.run("up", "--yes")
    stack.run("preview", "--expect-no-changes")
    assert ("gold2", "orders") in dremio.objects
    assert ("gold",) not in dremio.objects

    stack.run("destroy", "--yes")
    assert airbyte.actors == {"sources": {}, "destinations": {}}
    assert {c["status"] for c in airbyte.connections.values()} == {"deprecated"}
    assert dremio.objects == {}
