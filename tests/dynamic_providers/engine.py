"""A project folder under the real Pulumi CLI, with a state of its own, beside the fakes."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from dynamic_providers.endpoints import PORTS
from tests.fakes.serving import serving
from tests.support.ports import free_offset
from tools.paths import Paths, engine_environment

ROOT = Path(__file__).resolve().parents[2]
FAKES = ("airbyte", "dremio", "superset")
CLI_TIMEOUT_S = 1800  # the bench creates thousands of resources


class Stack:
    """printed: everything that the CLI wrote so far."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder = folder / "program"
        self.printed: list[str] = []
        shutil.copytree(program, self.folder)
        project = self.folder / "Pulumi.yaml"
        virtualenv = f"runtime: {{name: python, options: {{virtualenv: {ROOT / '.venv'}}}}}"
        project.write_text(project.read_text().replace("runtime: python", virtualenv))
        self.env = engine_environment(Paths(root=ROOT, home=folder / "home"))
        installed = Paths.find().bin
        if not (installed / "pulumi").exists():
            pytest.skip(f"{installed / 'pulumi'} is missing: install it with `make bootstrap`")
        self.env |= {"PATH": f"{installed}:{self.env['PATH']}", "PYTHONPATH": str(ROOT)}

    def init(self, seed: str, offset: int) -> None:
        self.run("stack", "init", "test")
        self.run("config", "set", "--secret", "dataflow:seed", given=seed)
        # The fakes speak clear text, as services elsewhere may: the stack's own never do.
        urls = [f"{service}:url={fake_url(service, offset)}" for service in FAKES]
        plain = [f"--plaintext={setting}" for setting in urls]
        self.run("config", "set-all", f"--plaintext=dataflow:portOffset={offset}", *plain)

    def run(self, *arguments: str, given: str | None = None, fails: bool = False) -> str:
        """What the command printed; `fails`: it must fail, and its errors are wanted too."""
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
        self.printed.append(printed)
        assert (done.returncode != 0) == fails, f"{arguments}:\n{printed}"
        return printed if fails else done.stdout

    def steps(self) -> list[dict[str, Any]]:
        """What a preview would do, without what stays the same."""
        steps = json.loads(self.run("preview", "--json"))["steps"]
        return [step for step in steps if step["op"] != "same"]

    def resources(self) -> list[dict[str, Any]]:
        """Our resources in the state."""
        everything = json.loads(self.run("stack", "export"))["deployment"]["resources"]
        return [r for r in everything if r["type"].startswith("pulumi-python:dynamic/dataflow/")]


def name_of(step: Mapping[str, Any]) -> str:
    return str(step["urn"]).rpartition("::")[2]


def fake_url(service: str, offset: int) -> str:
    return f"http://127.0.0.1:{PORTS[service] + offset}"


def serve_all(stack: ExitStack, apps: Mapping[str, Starlette]) -> int:
    """The port offset at which the fakes (service -> app) answer."""
    offset = free_offset()
    for service, app in apps.items():
        stack.enter_context(serving(app, PORTS[service] + offset))
    return offset
