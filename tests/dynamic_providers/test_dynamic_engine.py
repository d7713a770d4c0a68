"""The resources under the real engine: up, nothing to do, drift, change, destroy."""

import json
import re
import secrets
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from dynamic_providers import credentials
from dynamic_providers.endpoints import PORTS
from tests.fakes.airbyte import Airbyte
from tests.fakes.dremio import Dremio
from tests.fakes.serving import serving
from tests.services.running import free_ports
from tools.paths import Paths, engine_environment

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).parent / "program"
SECRET = "pa55word-of-the-shop"
CLI_TIMEOUT_S = 180


class Stack:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "program"
        shutil.copytree(PROGRAM, self.folder)
        project = self.folder / "Pulumi.yaml"
        virtualenv = f"runtime: {{name: python, options: {{virtualenv: {ROOT / '.venv'}}}}}"
        project.write_text(project.read_text().replace("runtime: python", virtualenv))
        self.env = engine_environment(Paths(root=ROOT, home=folder / "home"))
        installed = Paths.find().bin
        if not (installed / "pulumi").exists():
            pytest.skip(f"{installed / 'pulumi'} is missing: install it with `make bootstrap`")
        self.env |= {"PATH": f"{installed}:{self.env['PATH']}", "PYTHONPATH": str(ROOT)}

    def run(self, *arguments: str, given: str | None = None, fails: bool = False) -> str:
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.env,
            input=given,
            capture_output=True,
            text=True,
            timeout=CLI_TIMEOUT_S,
        )
        printed = f"{done.stdout}\n{done.stderr}"
        assert SECRET not in printed
        assert (done.returncode != 0) == fails, f"{arguments}:\n{printed}"
        return printed if fails else done.stdout

    def plan(self) -> dict[str, tuple[str, set[str]]]:
        """Resource name -> operation and the changed paths, of all that a preview would do."""
        steps = json.loads(self.run("preview", "--json"))["steps"]
        return {
            step["urn"].rpartition("::")[2]: (step["op"], set(step.get("detailedDiff") or {}))
            for step in steps
            if step["op"] != "same"
        }


def _serve_both(stack: ExitStack, airbyte: Airbyte, dremio: Dremio) -> int:
    """The port offset at which both fakes answer."""
    for _ in range(20):
        offset = free_ports(1)[0] - PORTS["dremio"]
        try:
            stack.enter_context(serving(dremio.app, PORTS["dremio"] + offset))
            stack.enter_context(serving(airbyte.app, PORTS["airbyte"] + offset))
        except OSError:
            continue
        return offset
    pytest.fail("no two free ports at the right distance")


def test_a_stack_from_up_to_destroy(tmp_path):
    seed = secrets.token_hex(16)
    airbyte, dremio = Airbyte(credentials.derive(seed, "airbyte-client")), Dremio()
    dremio.files.add(("store", "datalake", "orders"))
    with ExitStack() as services:
        offset = _serve_both(services, airbyte, dremio)
        stack = Stack(tmp_path)
        stack.run("stack", "init", "test")
        stack.run("config", "set", "--secret", "dataflow:seed", given=seed)
        stack.run("config", "set", "--secret", "dataflow:shopPassword", given=SECRET)
        stack.run("config", "set", "dataflow:portOffset", str(offset))
        _check_life(stack, airbyte, dremio)


def _check_life(stack: Stack, airbyte: Airbyte, dremio: Dremio) -> None:
    before = len(airbyte.requests), len(dremio.requests)
    assert {op for op, _ in stack.plan().values()} == {"create"}
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
    plan = stack.plan()
    assert plan["shop-to-lake"] == ("update", {"status"})
    assert plan["shop"] == ("update", {"configuration.port"})
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
    plan = stack.plan()
    assert plan["lake"] == ("update", {"name"})
    assert plan["view"][0].startswith(("replace", "create-replacement", "delete-replaced"))
    stack.run("up", "--yes")
    stack.run("preview", "--expect-no-changes")
    assert ("gold2", "orders") in dremio.objects
    assert ("gold",) not in dremio.objects

    stack.run("destroy", "--yes")
    assert airbyte.actors == {"sources": {}, "destinations": {}}
    assert {c["status"] for c in airbyte.connections.values()} == {"deprecated"}
    assert dremio.objects == {}
