"""A project folder under the real Pulumi CLI, with our plugins and a state of its own."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.plugins.conftest import PLUGINS
from tools.paths import Paths, engine_environment

ROOT = Path(__file__).resolve().parents[2]
CLI_TIMEOUT_S = 600


class Stack:
    def __init__(self, folder: Path, program: Path) -> None:
        paths = Paths(root=ROOT, home=folder / "home")
        self.folder = folder / "program"
        shutil.copytree(program, self.folder)
        virtualenv = f"runtime: {{name: python, options: {{virtualenv: {ROOT / '.venv'}}}}}"
        project = self.folder / "Pulumi.yaml"
        project.write_text(project.read_text().replace("runtime: python", virtualenv))
        for plugin in PLUGINS.values():
            _install(paths.pulumi_home, plugin.name, plugin.version)
        self.env = engine_environment(paths)
        installed = Paths.find().bin
        if not (installed / "pulumi").exists():
            pytest.skip(f"{installed / 'pulumi'} is missing: install it with `make bootstrap`")
        self.env["PATH"] = f"{installed}:{self.env['PATH']}"
        self.env["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"

    def run(self, *arguments: str, given: str | None = None) -> str:
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.env,
            input=given,
            capture_output=True,
            text=True,
            timeout=CLI_TIMEOUT_S,
        )
        assert done.returncode == 0, f"{arguments}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def configure(self, values: dict[str, object]) -> None:
        """In a folder that only this test can read: the program marks what is secret."""
        file = self.folder / "Pulumi.test.yaml"
        recorded = yaml.safe_load(file.read_text())  # holds the salt of the stack's secrets
        config = recorded.get("config", {}) | values
        file.write_text(yaml.safe_dump(recorded | {"config": config}))

    def changes(self, *options: str) -> dict[str, dict[str, str]]:
        """What a preview would do: `kind name operation` -> detailed diff, path -> kind."""
        found = {}
        for step in json.loads(self.run("preview", "--json", *options))["steps"]:
            if step["op"] not in ("same", "refresh"):
                kind, name = step["urn"].split("::")[2:]
                diff = step.get("detailedDiff") or {}
                label = f"{kind.rsplit(':', 1)[-1]} {name} {step['op']}"
                found[label] = {path: change["kind"] for path, change in diff.items()}
        return found


def _install(pulumi_home: Path, name: str, version: str) -> None:
    folder = pulumi_home / "plugins" / f"resource-{name}-v{version}"
    folder.mkdir(parents=True)
    launcher = folder / f"pulumi-resource-{name}"
    python = ROOT / ".venv/bin/python"
    launcher.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {python} -P -m plugins.{name} "$@"\n')
    launcher.chmod(0o755)
