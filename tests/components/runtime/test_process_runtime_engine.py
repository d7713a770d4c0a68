"""The process runtime under the real engine: up, no drift, repair, destroy."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import textwrap
import urllib.request
from pathlib import Path

import pytest

from dynamic_providers.local import control
from tools.paths import ROOT, Paths, engine_environment
from tools.preflight import ensure_service_user, service_user

PASSWORD = "s3cr3t-horse-battery"
ENGINE_TIMEOUT_S = 120

PROGRAM = '''\
"""A web server that answers its configuration, and a job that runs before it."""
import pulumi
from pathlib import Path
from components.runtime.process import ProcessRuntime
from components.runtime.service import Job, Readiness, Service

config = pulumi.Config()
port = config.require_int("port")
runtime = ProcessRuntime(
    "runtime", stack_dir=Path(config.require("stackDir")), user=config.get("user") or "",
    port_offset=0, keep_data=False,
)
seed = runtime.job(
    Job(name="seed", command=("/bin/sh", "-c", "echo seeded"), triggers={"version": "1"}),
    parent=runtime,
)
folder = runtime.directory("web") / "config"
web = runtime.service(
    Service(
        name="web",
        command=runtime.python(
            "http.server", "--bind", "127.0.0.1", "--directory", str(folder), str(port)
        ),
        files={"page.txt": "hello"},
        secret_files={"password": config.require_secret("password")},
        ports={"http": port},
        readiness=Readiness(kind="http", port=port, path="/page.txt"),
    ),
    parent=runtime,
    depends_on=[seed],
)
pulumi.export("url", web.endpoints["http"].url)
'''

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


class Project:
    """A Pulumi project with its own state, in a folder that the service user can enter."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.stack_dir = folder / "stack"
        (folder / "__main__.py").write_text(PROGRAM)
        (folder / "Pulumi.yaml").write_text(
            textwrap.dedent(f"""\
            name: runtime-test
            runtime:
              name: python
              options:
                virtualenv: {ROOT}/.venv
            """)
        )
        installed = {**os.environ, "PATH": f"{Paths.find().bin}:{os.environ['PATH']}"}
        environment = engine_environment(Paths(root=ROOT, home=folder / "home"), installed)
        self._environment = {**environment, "PYTHONPATH": str(ROOT)}
        self.run("stack", "init", "test")
        self.run("config", "set", "port", str(port))
        self.run("config", "set", "stackDir", str(self.stack_dir))
        self.run("config", "set", "user", service_user())
        self.run("config", "set", "--secret", "password", stdin=PASSWORD)

    def run(self, *command: str, stdin: str = "", ok: bool = True) -> str:
        done = subprocess.run(
            ["pulumi", *command, "--non-interactive"],
            cwd=self.folder,
            env=self._environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=ENGINE_TIMEOUT_S,
        )
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return done.stdout + done.stderr

    def drift(self) -> dict[str, list[str]]:
        """Resource -> inputs that `up --refresh` would put right."""
        report = json.loads(self.run("preview", "--refresh", "--json"))
        return {
            step["urn"].rpartition("::")[2]: sorted(step.get("detailedDiff") or {})
            for step in report["steps"]
            if step["op"] not in ("same", "refresh")
        }

    def page(self) -> str:
        url = f"http://127.0.0.1:{self.port}/page.txt"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()


@pytest.fixture
def project():
    if not (Paths.find().bin / "pulumi").exists():
        pytest.skip("pulumi is missing: install it with `make bootstrap`")
    assert ensure_service_user() is None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="dataflow-engine-"))
    folder.chmod(0o755)
    made = Project(folder, port)
    yield made
    control.of(str(made.stack_dir)).stop_daemon(10)
    shutil.rmtree(folder)


def test_up_repair_destroy(project):
    project.run("up", "--yes", "--skip-preview")
    assert project.page() == "hello"
    project.run("preview", "--expect-no-changes")
    project.run("refresh", "--yes", "--expect-no-changes")
    state = project.run("stack", "export")
    assert "local:Process" in state

    daemon = control.of(str(project.stack_dir))
    daemon.stop("web", 10)
    assert project.drift() == {"web-process": ["running"]}
    project.run("up", "--yes", "--refresh", "--skip-preview")
    assert project.page() == "hello"

    (project.stack_dir / "services/web/config/page.txt").write_text("edited")
    assert project.drift() == {"web-process": ['files["page.txt"]']}
    project.run("up", "--yes", "--refresh", "--skip-preview")
    assert project.page() == "hello"

    daemons = daemon.daemons()
    project.run("destroy", "--yes", "--skip-preview")
    assert not any(process.alive() for process in daemons)
    with pytest.raises(OSError):
        project.page()
    assert not project.stack_dir.exists()
